package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/thawline/thaw/internal/providersim"
)

// continueCampaigns is what a person does when an account is back: campaigns that a restriction has
// paused wait for a person, also if they have other accounts.
const continueCampaigns = `
	UPDATE thaw.campaigns AS c SET status = 'running', paused_reason = NULL, paused_at = NULL
	FROM thaw.accounts AS a
	WHERE a.provider_account_id = $1 AND c.workspace_id = a.workspace_id AND c.status = 'paused' AND c.paused_reason = 'account_restricted'`

// happen applies an event, at the provider and in what the platform tells Thaw.
func (d *driver) happen(ctx context.Context, e event) error {
	if slices.Contains([]eventKind{back, backSilently, backAsNew, released}, e.kind) {
		if err := d.world.exec(ctx, continueCampaigns, e.account); err != nil {
			return err
		}
	}
	switch e.kind {
	case lost:
		d.down[e.account] = append(d.down[e.account], span{from: d.now})
		return errors.Join(d.provider.SetStatus(e.account, providersim.StatusCredentials), d.signal(ctx, e.account, "CREDENTIALS"))
	case lostSilently:
		return d.provider.SetStatus(e.account, providersim.StatusCredentials)
	case back:
		return errors.Join(d.connect(e, e.account), d.signal(ctx, e.account, "OK"))
	case backSilently:
		return errors.Join(d.connect(e, e.account),
			d.world.exec(ctx, "UPDATE thaw.accounts SET status = 'connected' WHERE provider_account_id = $1", e.account))
	case backAsNew:
		d.people[e.person].accounts = append(d.people[e.person].accounts, e.account2)
		d.provider.know(e.account2, d.people[e.person].member)
		if err := errors.Join(d.connect(e, e.account2), d.world.exec(ctx, `
			INSERT INTO thaw.accounts (workspace_id, provider_account_id, member_id, status, timezone, tier)
			SELECT a.workspace_id, $2, a.member_id, 'connecting', a.timezone, a.tier FROM thaw.accounts AS a WHERE a.provider_account_id = $1`,
			e.account, e.account2)); err != nil {
			return err
		}
		// The platform enrolls some prospects of the old account again, through the new one.
		for i, p := range d.prospects {
			if p.account == e.account && !p.isShared && i%sharedEvery == 0 {
				d.prospects[i].isShared = true
				again := second{spellings[i/sharedEvery%len(spellings)](p.to), e.account2, "email", d.now.Add(time.Hour)}
				d.seconds = append(d.seconds, again)
				if err := d.world.exec(ctx, enrollAgain, again.url, again.account, again.campaign, again.due); err != nil {
					return err
				}
			}
		}
		return d.signal(ctx, e.account2, "OK")
	case restricted:
		d.down[e.account] = append(d.down[e.account], span{from: d.now})
		d.restrictions[e.person] = d.now
		return errors.Join(d.provider.SetStatus(e.account, providersim.StatusRestricted),
			d.world.exec(ctx, "SELECT thaw.signal('linkedin', $1, 'restricted')", e.account))
	case released:
		// The pass of the signal comes before the person, who is not as fast.
		if err := errors.Join(d.connect(e, e.account), d.signal(ctx, e.account, "OK")); err != nil {
			return err
		}
		if err := d.finish(ctx, d.now); err != nil {
			return err
		}
		return d.world.exec(ctx, "SELECT thaw.resume_account($1, 'the restriction is over', 'simulation')", e.account)
	case capLowered:
		d.capAt = d.now
		return d.world.exec(ctx, `
			INSERT INTO thaw.action_overrides (workspace_id, kind, per_day, reason, actor)
			SELECT w.id, 'invite', $2, 'too many complaints', 'simulation' FROM thaw.workspaces AS w WHERE w.key = 'workspace-' || $1::integer`,
			cappedWorkspace, loweredCap)
	case zoneChanged:
		zone := zones[(e.person+1)%len(zones)]
		d.zoneAt[e.person] = zoneChange{d.now, zone}
		return d.world.exec(ctx, "UPDATE thaw.accounts SET timezone = $2 WHERE member_id = $1", d.people[e.person].member, zone)
	case serverDies:
		if err := d.server.kill(); err != nil {
			return err
		}
		d.killedServers++
		var err error
		d.server, err = startServer(ctx, d.Program, d.world.url)
		return err
	case senderDies:
		d.dies = []stage{afterClaim, afterStart, afterRequest}[d.random.IntN(3)]
	case check:
		return errors.Join(d.settleUnknown(ctx), d.withdraw(ctx))
	case asked:
		return d.explain(ctx)
	case checkpoint: // a request met it: see reportCheckpoints
	}
	return nil
}

// connect makes an account work again at the provider.
func (d *driver) connect(e event, account string) error {
	for i, s := range d.down[account] {
		if s.to.IsZero() {
			d.down[account][i].to = d.now
		}
	}
	d.backs = append(d.backs, reconnect{d.now, e.person, e.kind, account})
	return d.provider.SetStatus(account, providersim.StatusOK)
}

// signal posts a message about an account to the webhook of the server.
func (d *driver) signal(ctx context.Context, account, message string) error {
	body, err := json.Marshal(map[string]map[string]string{"AccountStatus": {"account_id": account, "account_type": "LINKEDIN", "message": message}})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.server.url+"webhooks/unipile/v1", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Unipile-Auth", secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the webhook answered %s", response.Status)
	}
	return nil
}
