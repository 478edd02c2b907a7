// Package sendforecast says on which day the next actions of a sender are done, if nothing else
// changes: no prospect replies or is added, no setting changes, and the provider delivers.
//
// A [Sender] is the state of a person behind accounts, read in one snapshot. [Sender.Expect] goes
// through the coming days as the scheduler does: windows, caps of the day and of 168 hours by ramp
// week, holds of kinds, gaps, the accounts in turn, the campaigns of an account in turn, and the
// steps that follow. SQL decides what the windows, limits, holds and days are. Asking SQL for each
// action of 60 days would take a query per action, so this package repeats four rules of the schema
// in Go: the caps of a day and of 168 hours, the gap, the ceiling of open invites, and the order of
// turns. The command thaw simulate --static compares the days with what is then sent.
//
// Gaps are drawn at random, so the day of an action is not always certain: near the end of a
// window, and where several campaigns take turns at a cap. The days are counted several times, with
// other gaps. If the day is always the same, that day is named. Otherwise the days are a range.
//
// Not forecast, because other senders have a part in it: campaigns with a daily cap of their own.
package sendforecast
