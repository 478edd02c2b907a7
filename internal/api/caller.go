package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/access"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/token"
)

// A caller is an authenticated client and what it may see.
type caller struct {
	name  string // for the audit log
	scope readmodel.Scope
	// isSender is true for a token that may only send.
	isSender bool
}

// may refuses a route that the caller may not use.
func (c caller) may(r route) error {
	switch {
	case c.isSender && r.who == forReaders:
		return &problem{kind: forbidden, detail: "This token may only send. Use a token that was created without --send."}
	case !c.isSender && r.who == forSenders && c.scope.IsOneWorkspace():
		return &problem{kind: forbidden, detail: "This token may not send. Use a token that was created with --send."}
	}
	return nil
}

// caller authenticates a request: by its bearer token, or else as an operator.
func (a *api) caller(r *http.Request) (caller, error) {
	if text, ok := bearer(r); ok {
		return a.bearerOf(r, text)
	}
	ok, wait := a.operators.Admit(r)
	if wait > 0 {
		return caller{}, &problem{kind: tooManyRequests, detail: "Too many wrong passwords from this address. Wait for the time in Retry-After, then log in again.", retryAfter: access.RetryAfter(wait)}
	}
	if ok {
		return caller{name: "api:" + access.User, scope: readmodel.Everything()}, nil
	}
	detail := "Send a token (Authorization: Bearer thaw_…), or log in as " + access.User + "."
	if !a.operators.HasPassword() {
		detail = "Send a token (Authorization: Bearer thaw_…). Without a token: " + access.NotLocal(r)
	}
	return caller{}, &problem{kind: unauthorized, detail: detail}
}

func bearer(r *http.Request) (text string, ok bool) {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(text), strings.EqualFold(scheme, "Bearer")
}

func (a *api) bearerOf(r *http.Request, text string) (caller, error) {
	given, err := token.Parse(text)
	if err != nil {
		return caller{}, &problem{kind: unauthorized, detail: err.Error()}
	}
	row, err := a.store.Trip().UseToken(r.Context(), given.Hash())
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return caller{}, &problem{kind: unauthorized, detail: "The token is unknown, expired or revoked. Ask an operator for a new one."}
	case err != nil:
		return caller{}, fmt.Errorf("looking up a token: %w", err)
	}
	who := caller{name: fmt.Sprintf("token:%d %s", row.ID, row.Name), scope: readmodel.Everything(), isSender: row.CanOnlySend}
	if row.WorkspaceID != nil {
		who.scope = readmodel.OfWorkspace(*row.WorkspaceID)
	}
	return who, nil
}
