package notifier

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/riverqueue/river/riverdriver"

	"github.com/thawline/thaw/internal/dbsqlc"
)

// actionResigned tells River's electors that there is no leader.
const actionResigned = "resigned"

// A control is the request in a control or leadership notification of River.
type control struct {
	Action string `json:"action"`
	Queue  string `json:"queue"`
	JobID  int64  `json:"job_id,omitempty"`
}

// allQueues means every queue in River's notifications.
const allQueues = "*"

// maxAsked bounds the requests that are kept until the next read of the tables. Further ones are
// dropped.
const maxAsked = 100

// ask records the request of a control notification and triggers a read of the tables.
func (n *Notifier) ask(payload string) {
	var asked control
	_ = json.Unmarshal([]byte(payload), &asked) // invalid JSON matches nothing in the tables
	n.remember(asked)
	signal(n.asking)
}

// askLeader triggers a read of the tables because of a leadership notification. Only the payload's
// action matters: "resigned" is checked against the leader's row, and "request_resign" has no row
// behind it and is never passed on.
func (n *Notifier) askLeader(payload string) {
	var asked control
	_ = json.Unmarshal([]byte(payload), &asked) // invalid JSON has no action
	if asked.Action != actionResigned {
		n.remember(control{Action: asked.Action})
	}
	signal(n.asking)
}

// remember keeps a request until the next read of the tables, which checks it.
func (n *Notifier) remember(asked control) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.asked) < maxAsked {
		n.asked = append(n.asked, asked)
	}
}

// control passes the state in River's tables to River, on every notification and every
// controlEvery. River ignores what it already knows. A vacant leadership is reported once per
// vacancy: each report restarts the wait of a leader for its next renewal, so constant reports
// would cost it its term.
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
				n.c.Logger.WarnContext(ctx, "could not read paused queues, cancelled jobs and the leader; retrying", "error", err)
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

// isRequested reports whether a request agrees with the tables. Thaw does not use queue metadata,
// so changes of it always do.
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
