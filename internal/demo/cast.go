package demo

import "github.com/thawline/thaw/internal/explain"

// Provider account IDs of the accounts in the story.
const (
	// dana's account disconnects and reconnects.
	dana = "h_EKCy2lRLef5NzHp0iw4A"
	// ravi's account is disconnected. Its connect signal will be lost.
	ravi = "xEP6IAICtnt_BeOgYvEB6Q"
	// mona's account is disconnected. She connects again as monaAgain, a new account that is not in
	// the fleet yet.
	mona      = "3VNpwuxw3UNun6Mg8aYzug"
	monaAgain = "ul1iRE0BrFz68O8myDnnzg"
	// omar's account was removed, and he is connected again as omarAgain. No signal was received.
	omar      = "8BBdu7f-ZMA-pvUJiEecxg"
	omarAgain = "e2rGoaO-dUAM02RVGLXziA"
	// yuki's account is connected, but its prospects are still paused. No signal was received.
	yuki = "hJ0KRPmVxfrT-05IcSBeTw"
)

// The accounts of a sales team with a long backlog. No other account of their workspace has
// resumable prospects.
const teamWorkspace = "initech"

var team = []string{"Gjmq3CgNo1B_JDZOf7TwaQ", "MZ0cW4tXQ7iJwVY3rKp1Lg", "pT6bqfV9S-eNn2uAg8HdCw", "Vb3oYk5xR1mE7sZlQj0_Uw"}

// The workspace whose auto-resume is off.
const optedOutWorkspace = "umbrella"

// stillPaused is how many prospects must be paused at the end of the story, by explanation code.
var stillPaused = map[explain.Code]int{
	explain.AccountNotConnected:     110,
	explain.AccountRestricted:       75,
	explain.AutoResumeOff:           110,
	explain.CampaignNotRunning:      60,
	explain.NoConnectedSibling:      30,
	explain.PausedByUser:            4,
	explain.SiblingInOtherWorkspace: 45,
	explain.SubscriptionInactive:    90,
}
