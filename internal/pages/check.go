package pages

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/thawline/thaw/internal/explain"
	"github.com/thawline/thaw/internal/lookup"
	"github.com/thawline/thaw/internal/readmodel"
)

const (
	// maxChecked is the maximum number of prospects of a check.
	maxChecked = 1000
	// checkFormSize is the maximum size of its form, in bytes.
	checkFormSize = 1 << 20
)

// A checkPage answers many pasted URLs at once.
type checkPage struct {
	Pasted  string
	Problem string // why nothing was checked
	Max     int
	Lines   []checkedLine
	Found   int
	Codes   []codeCount
}

// A checkedLine is the answer for one pasted line: one explanation per campaign.
type checkedLine struct {
	Number  int
	Pasted  string
	Problem string // why the line cannot be a prospect; the other fields are then empty
	Answers []readmodel.Explanation
}

// A codeCount is how many answers have a code.
type codeCount struct {
	Code  explain.Code
	Count int
}

// checkProspects shows the form, or answers it. It changes nothing, so it answers a POST with a
// page: a thousand URLs are too long for an address.
func (s *site) checkProspects(w http.ResponseWriter, r *http.Request) {
	status, v := http.StatusOK, view{"check.html", "Check many prospects", checkPage{Max: maxChecked}}
	if r.Method == http.MethodPost {
		r.Body = http.MaxBytesReader(w, r.Body, checkFormSize)
		page, err := s.checked(r)
		var bad badRequestError
		switch {
		case errors.As(err, &bad): // the form keeps its input
			status, page.Problem, page.Lines = http.StatusBadRequest, bad.text, nil
			v.Data = page
		case err != nil:
			status, v = s.problem(r, err)
		default:
			v.Data = page
		}
	}
	s.write(w, r, status, v)
}

func (s *site) checked(r *http.Request) (checkPage, error) {
	p := checkPage{Max: maxChecked}
	if err := r.ParseForm(); err != nil {
		return p, badRequestError{"The list could not be read. It may be larger than 1 MiB: check a part of it."}
	}
	p.Pasted = field(r, "prospects")
	var urls []string
	for i, line := range strings.Split(p.Pasted, "\n") {
		pasted := lookup.Clean(line)
		if pasted == "" {
			continue
		}
		checked := checkedLine{Number: i + 1, Pasted: pasted}
		if err := explain.CheckURL(pasted); err != nil {
			checked.Problem = sentence(err.Error())
		} else {
			urls = append(urls, pasted)
		}
		p.Lines = append(p.Lines, checked)
	}
	if len(p.Lines) > maxChecked {
		return p, badRequestError{fmt.Sprintf("The list has %s lines. At most %s can be checked at a time: remove some of them.",
			count(len(p.Lines)), count(maxChecked))}
	}
	if len(urls) == 0 {
		return p, nil
	}
	prospects, err := s.Reader.Explainer(readmodel.Everything()).Explain(r.Context(), urls)
	if err != nil {
		return p, err
	}
	counts := map[explain.Code]int{}
	next := 0
	for i := range p.Lines {
		if p.Lines[i].Problem != "" {
			continue
		}
		prospect := prospects[next]
		next++
		p.Lines[i].Answers = prospect.Explanations
		if prospect.IsKnown() {
			p.Found++
		}
		for _, answer := range prospect.Explanations {
			counts[answer.Code]++
		}
	}
	for code, n := range counts {
		p.Codes = append(p.Codes, codeCount{code, n})
	}
	slices.SortFunc(p.Codes, func(a, b codeCount) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code)) })
	return p, nil
}
