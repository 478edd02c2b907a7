package api

import (
	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/readmodel"
)

// maxURLs is the maximum number of prospects per request.
const maxURLs = 200

// prospect serves GET /prospects: why a prospect does not continue, and its history.
func (a *api) prospect(r *request) (reply, error) {
	url, err := r.required("url")
	if err != nil {
		return reply{}, err
	}
	prospects, err := a.reader.Explainer(r.scope).Explain(r.Context(), []string{url})
	if err != nil {
		return reply{}, err
	}
	if !prospects[0].IsKnown() {
		unknown := prospects[0].Explanations[0]
		return reply{}, &problem{kind: notFound, detail: unknown.Sentence, tried: unknown.Tried}
	}
	return reply{body: prospects[0]}, nil
}

// prospects serves POST /prospects/explain. Prospects that are not found have the code not_found.
func (a *api) prospects(r *request) (reply, error) {
	var asked struct {
		URLs []string `json:"urls"`
	}
	if err := r.body(&asked); err != nil {
		return reply{}, err
	}
	if len(asked.URLs) == 0 || len(asked.URLs) > maxURLs {
		return reply{}, invalid("urls has %d URLs: must have from 1 to %d.", len(asked.URLs), maxURLs)
	}
	for i, url := range asked.URLs {
		if err := explain.CheckURL(url); err != nil {
			return reply{}, invalid("urls[%d]: %s.", i, err)
		}
	}
	prospects, err := a.reader.Explainer(r.scope).Explain(r.Context(), asked.URLs)
	return reply{body: map[string]any{"prospects": prospects}}, err
}

// events serves GET /events: the history of a prospect.
func (a *api) events(r *request) (reply, error) {
	url, err := r.required("url")
	if err != nil {
		return reply{}, err
	}
	p, err := r.paging()
	if err != nil {
		return reply{}, err
	}
	page, err := readmodel.Events(r.Context(), a.store, r.scope, url, p)
	return reply{body: page}, err
}
