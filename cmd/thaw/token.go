package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/thawline/thaw/internal/dbsqlc"
	"github.com/thawline/thaw/internal/operator"
	"github.com/thawline/thaw/internal/store"
	"github.com/thawline/thaw/internal/token"
	"github.com/thawline/thaw/internal/when"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Create a token for one workspace or for an operator, and show it once."`
	List   tokenListCmd   `cmd:"" help:"List tokens, newest first, and when each was last used."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token immediately."`
}

func (tokenCmd) Help() string { return tokenCreateCmd{}.Help() }

type tokenCreateCmd struct {
	database  `embed:""`
	Workspace string        `help:"Restrict the token to this workspace, named by ${workspace_id}." placeholder:"KEY" xor:"scope"`
	Operator  bool          `help:"Give the token all rights of an operator." xor:"scope"`
	Send      bool          `help:"Let the token only send: reserve, claim, start, settle and list actions, of the workspace or, with --fleet, of all."`
	Fleet     bool          `help:"With --send, all workspaces." xor:"scope"`
	Name      string        `help:"Name of the token's user, for the audit log." placeholder:"TEXT" required:""`
	Reason    string        `help:"Reason, for the audit log." placeholder:"TEXT"`
	Expires   time.Duration `help:"Lifetime of the token, for example 90d. Default: valid until revoked." placeholder:"DURATION"`
	JSON      bool          `help:"Print JSON."`
}

func (tokenCreateCmd) Help() string {
	return "The token is shown only once: the database stores only its hash.\n\nExample:\n  thaw token create --workspace acme --name \"customer portal\" --expires 90d\n  thaw token create --workspace acme --send --name \"sender 1\""
}

func (c *tokenCreateCmd) Validate() error {
	switch {
	case c.Send && c.Operator:
		return errors.New("--send and --operator cannot be combined: a token of an operator may send too")
	case c.Fleet && !c.Send:
		return errors.New("--fleet is for tokens that only send: pass --send too, or --operator for everything")
	case c.Send && c.Workspace == "" && !c.Fleet:
		return errors.New("no scope given: pass --workspace KEY, or --fleet for the actions of all workspaces")
	case c.Send && len(c.Name) > 200:
		return errors.New("the name is longer than 200 bytes: use a shorter one, because the ledger stores it with each action")
	case c.Workspace == "" && !c.Operator && !c.Fleet:
		return errors.New("no scope given: pass --workspace KEY, or --operator for everything")
	case c.Expires < 0 || c.Expires > 0 && c.Expires < time.Minute:
		return fmt.Errorf("--expires=%s: must be at least a minute", when.Duration(c.Expires))
	default:
		return nil
	}
}

func (c *tokenCreateCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		made := token.New()
		params := dbsqlc.CreateTokenParams{Name: c.Name, Hash: made.Hash(), CreatedBy: actor(), CanOnlySend: c.Send}
		if c.Reason != "" {
			params.Reason = &c.Reason
		}
		if c.Expires > 0 {
			params.Lasts = &c.Expires
		}
		if c.Workspace != "" {
			id, err := db.Read().WorkspaceID(ctx, c.Workspace)
			if errors.Is(err, pgx.ErrNoRows) {
				return unknownWorkspace(c.Workspace)
			} else if err != nil {
				return err
			}
			params.WorkspaceID = &id
		}
		return db.Tx(ctx, func(_ pgx.Tx, q *dbsqlc.Queries) error {
			row, err := q.CreateToken(ctx, params)
			if err != nil {
				return fmt.Errorf("creating the token: %w", err)
			}
			// Printed before the commit: if printing fails, for example on a full disk, no token is
			// created.
			if c.JSON {
				return writeJSON(e.stdout, map[string]any{"id": row.ID, "token": string(made), "expires_at": row.ExpiresAt})
			}
			printLine(e.stdout, string(made))
			if e.stdout.err != nil {
				return e.stdout.err
			}
			printf(e.stderr, "created token %d, valid until %s. It is not shown again.\n", row.ID, stampOr(row.ExpiresAt, "revoked"))
			return nil
		})
	})
}

type tokenListCmd struct {
	database  `embed:""`
	listFlags `embed:""`
	Workspace string `help:"Only tokens of this workspace, named by ${workspace_id}." placeholder:"KEY"`
	Valid     bool   `help:"Only tokens that are neither revoked nor expired."`
}

func (tokenListCmd) Help() string { return "Example:\n  thaw token list --workspace acme --valid" }

func (c *tokenListCmd) Validate() error { return c.listFlags.Validate() }

func (c *tokenListCmd) Run(ctx context.Context, e *env) error {
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		params := dbsqlc.ListTokensParams{OnlyValid: c.Valid, Size: int32(c.Limit)}
		if c.Workspace != "" {
			params.Workspace = &c.Workspace
		}
		rows, err := db.Read().ListTokens(ctx, params)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			defer c.sayMore(e, len(rows), rows[0].Total, "token")
		}
		if c.JSON {
			type line struct {
				ID         int64      `json:"id"`
				Workspace  *string    `json:"workspace"` // nil: operator token, all workspaces
				Name       string     `json:"name"`
				CreatedAt  time.Time  `json:"created_at"`
				CreatedBy  string     `json:"created_by"`
				LastUsedAt *time.Time `json:"last_used_at"`
				ExpiresAt  *time.Time `json:"expires_at"`
				RevokedAt  *time.Time `json:"revoked_at"`
				OnlySends  bool       `json:"can_only_send"`
			}
			lines := make([]line, len(rows))
			for i, r := range rows {
				lines[i] = line{r.ID, nil, r.Name, r.CreatedAt, r.CreatedBy, r.LastUsedAt, r.ExpiresAt, r.RevokedAt, r.CanOnlySend}
				if r.Workspace != "" {
					lines[i].Workspace = &r.Workspace
				}
			}
			return writeJSON(e.stdout, lines)
		}
		t := newTable(fixed("ID"), text("WORKSPACE"), text("NAME"), fixed("CREATED (UTC)"), text("BY"), fixed("LAST USED"), fixed("EXPIRES"), fixed("REVOKED"))
		for _, r := range rows {
			workspace := r.Workspace
			if workspace == "" {
				workspace = "(all)"
			}
			if r.CanOnlySend {
				workspace += " (only sends)"
			}
			t.add(strconv.FormatInt(r.ID, 10), workspace, r.Name, minute(&r.CreatedAt, ""), r.CreatedBy,
				minute(r.LastUsedAt, "never"), minute(r.ExpiresAt, "never"), minute(r.RevokedAt, "-"))
		}
		t.write(e.stdout)
		return nil
	})
}

type tokenRevokeCmd struct {
	database   `embed:""`
	reasonFlag `embed:""`
	ID         int64 `arg:"" help:"ID of the token, from thaw token list."`
}

func (tokenRevokeCmd) Help() string {
	return "Example:\n  thaw token revoke 7 --reason \"the portal was shut down\""
}

func (c *tokenRevokeCmd) Run(ctx context.Context, e *env) error {
	return withOperator(ctx, e, c.database, func(o *operator.Operator) error {
		name, isChanged, err := o.RevokeToken(ctx, c.ID, c.Reason)
		switch {
		case err != nil:
			return err
		case !isChanged:
			printf(e.stdout, "No change: token %d (%s) is already revoked.\n", c.ID, name)
		default:
			printf(e.stdout, "token %d (%s) is revoked\n", c.ID, name)
		}
		return nil
	})
}
