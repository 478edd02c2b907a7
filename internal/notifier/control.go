package notifier

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/riverqueue/river/riverdriver"

	"github.com/thawline/thaw/schema/dbsqlc"
)

// actionResigned is what River's electors are told when there is no leader.
const actionResigned = "resigned"

// A control is what a control or leadership notification of River asks for.
type control struct {
	Action string `json:"action"`
	Queue  string `json:"queue"`
	JobID  int64  `json:"job_id,omitempty"`
}

// allQueues stands for every queue in River's notifications.
const allQueues = "*"

// maxAsked bounds the notifications that are remembered until the next look; more are taken for forged.
const maxAsked = 100

// ask remembers what a control notification asks for, and has the tables looked at.
func (n *Notifier) ask(payload string) {
	var asked control
	_ = json.Unmarshal([]byte(payload), &asked) // what is not JSON asks for nothing that the tables have
	n.remember(asked)
	signal(n.asking)
}

// askLeader has the tables looked at because of a leadership notification. Of its payload only the action counts: "resigned" is
// checked against the leader's row. "request_resign" has no row behind it and is never passed on.
func (n *Notifier) askLeader(payload string) {
	var asked control
	_ = json.Unmarshal([]byte(payload), &asked) // what is not JSON has no action
	if asked.Action != actionResigned {
		n.remember(control{Action: asked.Action})
	}
	signal(n.asking)
}

// remember keeps what a notification asks for until the next look, which tells whether it agrees with the tables.
func (n *Notifier) remember(asked control) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.asked) < maxAsked {
		n.asked = append(n.asked, asked)
	}
}

// control hands to River what the tables say, whenever a notification asks for it, and from time to time: River ignores what is
// so already. That there is no leader is told once, until there has been one: each time River hears it, a leader starts to wait
// anew for its next renewal, and would lose its term if it heard it all the time.
func (n *Notifier) control(ctx context.Context) {
	toldVacant := false
	for wait(ctx, n.asking, controlEvery) {
		n.mu.Lock()
		asked := n.asked
		n.asked = nil
		n.mu.Unlock()
		var jobIDs []int64
		for _, a := range asked {
			if a.Action == "cancel" {
				jobIDs = append(jobIDs, a.JobID)
			}
		}
		began := time.Now()
		var requested []dbsqlc.RequestedControlsRow
		err := n.query(ctx, func(ctx context.Context) (err error) {
			requested, err = n.queries.RequestedControls(ctx, dbsqlc.RequestedControlsParams{ClientID: n.c.ClientID, JobIds: jobIDs})
			return err
		})
		if err != nil {
			if ctx.Err() == nil {
				n.c.Logger.WarnContext(ctx, "could not look which queues are paused, which jobs cancelled and who leads; trying again", "error", err)
			}
			pause(ctx, time.Second)
			continue
		}
		vacant := false
		requested = slices.DeleteFunc(requested, func(r dbsqlc.RequestedControlsRow) bool {
			vacant = vacant || r.Action == actionResigned
			return r.Action == actionResigned
		})
		if vacant && !toldVacant {
			payload, _ := json.Marshal(control{Action: actionResigned}) // a struct of strings and a number
			n.deliver(&riverdriver.Notification{Topic: topicLeadership, Payload: string(payload)}, "")
		}
		toldVacant = vacant
		for _, r := range requested {
			if slices.Contains(n.c.Queues, r.Queue) {
				payload, _ := json.Marshal(control{r.Action, r.Queue, r.JobID}) // a struct of strings and a number
				n.deliver(&riverdriver.Notification{Topic: topicControl, Payload: string(payload)}, "")
			}
		}
		for _, a := range asked {
			if !n.isRequested(a, requested) {
				n.forged.log(ctx, n.c.Logger, a)
			}
		}
		pause(ctx, paceOf(time.Since(began), controlAtMost, lookBackAtMost))
	}
}

// isRequested says whether a notification agrees with the tables. Changed metadata of a queue mean nothing to Thaw.
func (n *Notifier) isRequested(a control, requested []dbsqlc.RequestedControlsRow) bool {
	switch a.Action {
	case "metadata_changed":
		return true
	case "pause", "resume":
		return !slices.ContainsFunc(requested, func(r dbsqlc.RequestedControlsRow) bool {
			return r.JobID == 0 && r.Action != a.Action && (r.Queue == a.Queue || a.Queue == allQueues)
		})
	case "cancel":
		return slices.ContainsFunc(requested, func(r dbsqlc.RequestedControlsRow) bool { return r.Action == a.Action && r.JobID == a.JobID })
	default:
		return false
	}
}
