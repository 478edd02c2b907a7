package simulate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// settleUnknown looks at the provider's list of what was delivered, as a person would, and settles
// the unknown actions by it.
func (d *driver) settleUnknown(ctx context.Context) error {
	all, delivered, err := d.unknownActions(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		it := deed{r.Kind, slugOf(r.ProspectURL)}
		outcome := "verified_absent"
		if delivered[it] {
			outcome = "verified_sent"
		}
		d.verified[outcome]++
		d.verifiedAt[it] = append(d.verifiedAt[it], verdict{d.now, delivered[it]})
		if err := d.world.exec(ctx, "SELECT thaw.verify_action($1, $2, 'what the provider has', 'simulation')", r.ID, outcome); err != nil {
			return err
		}
	}
	return nil
}

// withdraw withdraws a third of the invites to prospects who are in two campaigns, at the provider
// and in Thaw: the second enrollment may invite them three weeks later.
func (d *driver) withdraw(ctx context.Context) error {
	shared := make([]string, 0, 2*len(d.seconds))
	for _, again := range d.seconds {
		shared = append(shared, again.url, urlPrefix+strings.ToLower(slugOf(again.url)))
	}
	rows, err := d.world.pool.Query(ctx, `
		SELECT a.id, a.provider_ref FROM thaw.actions AS a
		WHERE a.kind = 'invite' AND a.state = 'sent' AND a.closed_at IS NULL AND a.provider_ref IS NOT NULL AND a.prospect_url = ANY ($1)
			AND hashtextextended(a.prospect_url, 7) % 3 = 0
		ORDER BY a.id`, shared)
	if err != nil {
		return err
	}
	type sentInvite struct {
		ID  int64
		Ref string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sentInvite])
	if err != nil {
		return err
	}
	for _, invite := range all {
		if !d.provider.Withdraw(invite.Ref) {
			return fmt.Errorf("the provider has no open invite %s", invite.Ref)
		}
		d.withdrawn++
		if err := d.world.exec(ctx, "SELECT thaw.close_invite($1, 'withdrawn')", invite.ID); err != nil {
			return err
		}
	}
	return nil
}

// An unknownAction is a row of the ledger.
type unknownAction struct {
	ID          int64
	Kind        string
	ProspectURL string
	Member      string
	StartedAt   time.Time
}

// unknownActions returns the unknown actions and what was delivered, and notes the actions without
// a request: they count until now.
func (d *driver) unknownActions(ctx context.Context) (all []unknownAction, delivered map[deed]bool, err error) {
	rows, err := d.world.pool.Query(ctx, `
		SELECT a.id, a.kind, a.prospect_url, a.member_id, a.started_at FROM thaw.actions AS a WHERE a.state = 'unknown' ORDER BY a.id`)
	if err != nil {
		return nil, nil, err
	}
	if all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[unknownAction]); err != nil {
		return nil, nil, err
	}
	delivered = map[deed]bool{}
	requestedAt := map[deed]time.Time{}
	for _, e := range d.provider.Log(0) {
		it := deed{e.Kind, e.To}
		requestedAt[it] = e.At // the last time
		delivered[it] = e.Delivered
	}
	for _, r := range all {
		if it := (deed{r.Kind, slugOf(r.ProspectURL)}); requestedAt[it].Before(r.StartedAt) {
			delete(delivered, it) // what was delivered was an invite that was withdrawn
			if d.unrequested[r.Member] == nil {
				d.unrequested[r.Member] = map[string][]use{}
			}
			d.unrequested[r.Member][r.Kind] = append(d.unrequested[r.Member][r.Kind], use{at: r.StartedAt, until: d.now, to: it.to})
		}
	}
	return all, delivered, nil
}
