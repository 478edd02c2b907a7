package chaos_test

// Files with several mutants.
const (
	fleet   = "schema/migrations/00004_fleet.sql"
	records = "schema/migrations/00006_records.sql"
	backlog = "schema/migrations/00010_backlog.sql"
	enqueue = "schema/migrations/enqueue.sql.template"
	alive   = "schema/migrations/00029_workers.sql"
	notify  = "internal/notifier/notifier.go"
	listen  = "internal/notifier/listener.go"
	signals = "schema/migrations/00011_signal.sql"
	pauses  = "schema/migrations/00012_pause.sql"
	resumes = "schema/migrations/00013_resume.sql"
	heals   = "schema/migrations/00018_heal_batch.sql"
	safety  = "schema/migrations/00021_safety.sql"
	people  = "schema/migrations/00022_manual.sql"
	guards  = "schema/migrations/00030_guards.sql"
	outbox  = "schema/migrations/00024_outbox.sql"
	counts  = "schema/migrations/00026_counts.sql"
	plans   = "schema/migrations/00027_plan.sql"

	zones    = "schema/migrations/00041_zones.sql"
	limits   = "schema/migrations/00042_limits.sql"
	ledger   = "schema/migrations/00043_ledger.sql"
	gates    = "schema/migrations/00044_gates.sql"
	reserves = "schema/migrations/00045_reserve.sql"
	settles  = "schema/migrations/00046_settle.sql"
	schedule = "schema/migrations/00047_schedule.sql"
)

// Two checks guard the quota of a lane.
var (
	noCheckOnQuota = edit{records, "fleet_quotas_used_is_within_cap CHECK (used BETWEEN 0 AND cap)", "fleet_quotas_used_is_within_cap CHECK (used >= 0)"}
	noLimitOnQuota = edit{resumes, "\n        WHERE b.used + excluded.used <= b.cap;", ";"}
)

// indifferent names, for each package, a database test that passes with every mutant. A mutant that
// breaks everything would fail it too, and prove nothing.
var indifferent = map[string]string{
	"./jobs":              "TestSendOutcomesAndErrors",
	"./internal/notifier": "TestJobsOfSQLCallersAreFound",
	"./schema":            "TestPlainUpdateRecordsConnection",
	"./worker":            "TestSignalWithoutTimeCountsAsNow",
}

// mutants are ordered by what they remove: locks, idempotency, quotas, clocks, uniqueness, safety
// mode, manual actions, webhooks, sending. The replaced texts are short, so that they break only
// when the code itself changes.
var mutants = []mutant{
	{
		without: "the check of a process's lock before its jobs are requeued",
		edits:   []edit{{alive, "WHERE NOT EXISTS (\n        SELECT FROM pg_catalog.pg_locks", "WHERE true OR NOT EXISTS (\n        SELECT FROM pg_catalog.pg_locks"}},
		pkg:     "./worker", tests: []string{"TestJobsOfLostProcessAreRequeued"}, inCI: true,
	},
	{
		without: "the check of the process's session",
		edits:   []edit{{alive, "l.granted AND l.pid = w.pid AND", "l.granted AND"}},
		pkg:     "./internal/notifier", tests: []string{"TestLostWorkers"},
	},
	{
		without: "the requeue of a lost process's jobs",
		edits:   []edit{{notify, "\t\trun(n.requeue)\n", ""}, {notify, "// requeue requeues", "var _ = (*Notifier).requeue\n\n// requeue requeues"}},
		pkg:     "./worker", tests: []string{"TestJobsOfLostProcessAreRequeued"},
	},
	{
		without: "the check of control messages against the tables",
		edits:   []edit{{listen, "n.ask(heard.Payload)", `n.deliver(&riverdriver.Notification{Topic: topicControl, Payload: heard.Payload}, "")`}},
		pkg:     "./internal/notifier", tests: []string{"TestForgedControlMessagesChangeNothing"},
	},
	{
		without: "the check of leadership messages against the leader's row",
		edits:   []edit{{listen, "n.askLeader(heard.Payload)", `n.deliver(&riverdriver.Notification{Topic: topicLeadership, Payload: heard.Payload}, "")`}},
		pkg:     "./internal/notifier", tests: []string{"TestForgedLeadershipMessagesChangeNothing"},
	},
	{
		without: "reporting a vacancy only once",
		edits:   []edit{{"internal/notifier/control.go", "toldVacant = vacant", "toldVacant = false"}},
		pkg:     "./internal/notifier", tests: []string{"TestForgedLeadershipMessagesChangeNothing"},
	},
	{
		without: "the exception for a process whose own term has expired",
		edits:   []edit{{enqueue, "pg_catalog.now() OR leader.leader_id = p_client_id)", "pg_catalog.now() OR leader.leader_id = p_client_id AND false)"}},
		pkg:     "./internal/notifier", tests: []string{"TestOtherProcessesLearnOfVacancy"},
	},
	{
		without: "tolerating a schema that another process just created",
		edits:   []edit{{"schema/schema.go", "|| fromPostgres.Code == uniqueViolation)", "|| fromPostgres.Code == uniqueViolation && false)"}},
		pkg:     "./schema", tests: []string{"TestSchemaCreatedConcurrently"},
	},
	{
		without: "commits without NOTIFY",
		edits:   []edit{{enqueue, "    RETURN job_id;\n", "    PERFORM pg_notify('thaw.river_insert', '{}');\n    RETURN job_id;\n"}},
		pkg:     "./worker", tests: []string{"TestNoJobTransactionNotifies"},
	},
	{
		without: "the account lock of a pass",
		edits:   []edit{{resumes, "WHERE a.id = p_account_id FOR NO KEY UPDATE;", "WHERE a.id = p_account_id;"}},
		pkg:     "./worker", tests: []string{"TestPassWaitsForConcurrentSignal", "TestTwoAttemptsOfOnePassResumeOnce"}, inCI: true,
	},
	{
		without: "the account lock of a signal",
		edits:   []edit{{signals, "p_provider_account_id\n    FOR NO KEY UPDATE;", "p_provider_account_id;"}},
		pkg:     "./worker", tests: []string{"TestSignalWaitsForConcurrentNewerSignal"},
	},
	{
		without: "the account lock of a pause",
		edits:   []edit{{pauses, "WHERE a.id = p_account_id FOR NO KEY UPDATE;", "WHERE a.id = p_account_id;"}},
		pkg:     "./worker", tests: []string{"TestPauseWaitsForConcurrentSignal"},
	},
	{
		without: "the check for signals received while their account was inserted",
		edits:   []edit{{signals, "settled := settled + thaw.apply_kept_signals(account);", "NULL;"}},
		pkg:     "./schema", tests: []string{"TestSignalDuringAccountInsert", "TestSignalInvisibleToOlderSnapshot"},
	},
	{
		without: "the account lock in every lane",
		edits:   []edit{{backlog, "WHEN p_account.locked_at IS NOT NULL THEN 'account_locked'", ""}},
		pkg:     "./schema", tests: []string{"TestLockIsIndependentOfStatus"},
	},
	{
		without: "the wait of a flapping account",
		edits:   []edit{{backlog, "WHEN p_account.resume_after > thaw.now() THEN 'account_flapping'", ""}},
		pkg:     "./schema", tests: []string{"TestFlappingAccountWaits"},
	},
	{
		without: "the exclusion of flapping accounts from the losses",
		edits:   []edit{{fleet, "IF NOT thaw.is_flapping(NEW.flaps) THEN", "IF true THEN"}},
		pkg:     "./schema", tests: []string{"TestFlappingAccountsDoNotKeepSafetyModeOn"},
	},
	{
		without: "connecting never wins over connected",
		edits:   []edit{{signals, "RETURN NOT (p_status = 'connected' AND p_new_status = 'connecting'", "RETURN NOT (false AND p_new_status = 'connecting'"}},
		pkg:     "./schema", tests: []string{"TestLateCreationDoesNotDisconnect", "TestLoginIsNotAConnection"},
	},
	{
		without: "the locks on the rows that a pass resumes",
		edits:   []edit{{resumes, "\n        FOR NO KEY UPDATE OF e SKIP LOCKED", ""}},
		pkg:     "./worker", tests: []string{"TestPassSkipsLockedProspects"},
	},
	{
		without: "SKIP LOCKED in a pass",
		edits:   []edit{{resumes, "FOR NO KEY UPDATE OF e SKIP LOCKED", "FOR NO KEY UPDATE OF e"}},
		pkg:     "./worker", tests: []string{"TestPassSkipsLockedProspects"},
	},
	{
		without: "the order of a pass's locks on campaigns",
		edits:   []edit{{resumes, "ORDER BY c.id FOR SHARE;", "ORDER BY c.id DESC FOR SHARE;"}},
		pkg:     "./worker", tests: []string{"TestLocksAreTakenInOneOrder"},
	},
	{
		without: "the account before the campaigns",
		edits: []edit{{resumes, "SELECT a.* INTO account FROM", `PERFORM FROM thaw.campaigns FOR NO KEY UPDATE;
    SELECT a.* INTO account FROM`}},
		pkg: "./worker", tests: []string{"TestLocksAreTakenInOneOrder"},
	},
	{
		without: "the idempotency record of a pass",
		edits:   []edit{{resumes, "ELSIF is_closed THEN", "ELSIF false THEN"}},
		pkg:     "./worker", tests: []string{"TestClosedPassChangesNothing", "TestTwoAttemptsOfOnePassResumeOnce"}, inCI: true,
	},
	{
		without: "the lock of a heal on its row, and the CHECK of its cap",
		edits: []edit{
			{heals, "WHERE h.id = p_heal_id FOR NO KEY UPDATE;", "WHERE h.id = p_heal_id;"},
			{records, "heals_resumed_is_within_cap CHECK (resumed BETWEEN 0 AND cap)", "heals_resumed_is_within_cap CHECK (resumed >= 0)"},
		},
		pkg: "./worker", tests: []string{"TestTwoAttemptsOfOneHealBatch"},
	},
	{
		without: "the recheck of a heal's accounts under their locks",
		edits:   []edit{{heals, "WHERE one.target_id <> ALL (held_targets))", "WHERE false)"}},
		pkg:     "./worker", tests: []string{"TestHealRechecksUnderLock"}, inCI: true,
	},
	{
		without: "the locks of a heal on its accounts",
		edits:   []edit{{heals, "WHERE a.id = targets[1] FOR NO KEY UPDATE;", "WHERE a.id = targets[1];"}},
		pkg:     "./worker", tests: []string{"TestHealRechecksUnderLock"},
	},
	{
		without: "SKIP LOCKED on the accounts of a heal's batch",
		edits:   []edit{{heals, "ORDER BY a.id FOR NO KEY UPDATE SKIP LOCKED)", "ORDER BY a.id FOR NO KEY UPDATE)"}},
		pkg:     "./worker", tests: []string{"TestHealBatchWaitsForNoLock"},
	},
	{
		without: "the check that an account is gone before its pending prospects move",
		edits:   []edit{{resumes, "WHERE source.id = ANY (p_source_ids) AND thaw.is_gone(source.status)", "WHERE source.id = ANY (p_source_ids)"}},
		pkg:     "./worker", tests: []string{"TestPendingProspectsMoveFromAccountsThatAreGone"},
	},
	{
		without: "the limit of a pass on pending prospects",
		edits:   []edit{{resumes, "size constant integer := 2000;", "size constant integer := 20000;"}},
		pkg:     "./worker", tests: []string{"TestMovesAreBounded"},
	},
	{
		without: "another round of a heal for locked rows",
		edits:   []edit{{heals, "AND (heal.skipped > 0 AND heal.round < rounds OR ", "AND (false OR "}},
		pkg:     "./worker", tests: []string{"TestHealRetriesLockedRows"},
	},
	{
		without: "the position of a heal in its row",
		edits:   []edit{{heals, "at_account_id = heal.at_account_id, at_campaign_id = heal.at_campaign_id,", "at_campaign_id = heal.at_campaign_id,"}},
		pkg:     "./worker", tests: []string{"TestHealContinuesAfterLockedRows"},
	},
	{
		without: "shared locks on running campaigns",
		edits:   []edit{{resumes, "ORDER BY c.id FOR SHARE;", "ORDER BY c.id FOR NO KEY UPDATE;"}},
		pkg:     "./worker", tests: []string{"TestPassesShareACampaign"},
	},
	{
		without: "the priority of transactions that change a campaign",
		edits:   []edit{{resumes, "PERFORM thaw.yield_to_writers(p_campaign_ids);", ""}},
		pkg:     "./worker", tests: []string{"TestCampaignChangeIsNotStarvedByPasses"},
	},
	{
		without: "a stronger lock on a campaign that was paused meanwhile",
		edits:   []edit{{resumes, "RAISE EXCEPTION 'a campaign was stopped meanwhile' USING ERRCODE = 'TH002';", "RETURN false;"}},
		pkg:     "./worker", tests: []string{"TestPassesFindTheirCampaignStopped"},
	},
	{
		without: "transactional completion",
		edits:   []edit{{enqueue, "job.id = p_job_id AND", "false AND"}},
		pkg:     "./worker", tests: []string{"TestJobIsCompletedInTheTransactionOfItsWork"}, inCI: true,
	},
	{
		without: "transactional completion (completed before instead)",
		edits: []edit{{"worker/resume.go", "switch args := job.Args; {", `if _, err := w.store.Pool().Exec(ctx, "SELECT thaw.complete_job($1)", job.ID); err != nil {
		return err
	}
	switch args := job.Args; {`}},
		pkg: "./worker", tests: []string{"TestJobIsCompletedInTheTransactionOfItsWork"},
	},
	{
		without: "transactional completion of a sweep",
		edits: []edit{{"worker/sweep.go", "_, err = river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)",
			"_ = river.JobCompleteTx[*riverpgxv5.Driver, pgx.Tx, jobs.SweepArgs]"}},
		pkg: "./worker", tests: []string{"TestJobIsCompletedInTheTransactionOfItsWork"},
	},
	{
		without: "the CHECK of a lane's quota",
		edits:   []edit{noCheckOnQuota},
		pkg:     "./schema", tests: []string{"TestConstraintsRejectViolations"},
	},
	{
		without: "both the limit of a lane's quota and its CHECK",
		edits:   []edit{noLimitOnQuota, noCheckOnQuota},
		pkg:     "./worker", tests: []string{"TestConcurrentPassesShareTheirQuota"}, inCI: true,
	},
	{
		without: "a second try when the quota is used up",
		edits:   []edit{noLimitOnQuota},
		pkg:     "./worker", tests: []string{"TestPassResumesWhatRemainsOfTheQuota"},
	},
	{
		without: "the lock on an allocation",
		edits:   []edit{{resumes, "g.account_id = p_account_id\n        FOR NO KEY UPDATE;", "g.account_id = p_account_id;"}},
		pkg:     "./worker", tests: []string{"TestPassWaitsForTheEndOfItsTick"},
	},
	{
		without: "the end of an allocation with its tick",
		edits:   []edit{{resumes, "WHEN p_lane = 'sweep' AND p_tick_at <> tick", "WHEN false"}},
		pkg:     "./worker", tests: []string{"TestJobOfFinishedTickCancelsItself"},
	},
	{
		without: "the removal of a finished tick's jobs",
		edits:   []edit{{"worker/sweep.go", "dropped < dropSize ||", "dropped < 1 ||"}, {"worker/sweep.go", "Size: dropSize", "Size: 0"}},
		pkg:     "./worker", tests: []string{"TestUnfinishedTickIsLeftToTheNext"},
	},
	{
		without: "the end of earlier ticks before the plan",
		edits:   []edit{{plans, "    RETURN over;\nEND;", "    PERFORM thaw.plan_workspaces(p_tick_at, 1);\n    RETURN over;\nEND;"}},
		pkg:     "./worker", tests: []string{"TestPassesDoNotWaitForThePlanOfTheNextTick"},
	},
	{
		without: "the count of single paused rows",
		edits:   []edit{{counts, "FOR EACH ROW WHEN (NEW.paused_reason IS NOT NULL AND", "FOR EACH ROW WHEN (false AND"}},
		pkg:     "./schema", tests: []string{"TestCountsAreExactInEverySnapshot"}, inCI: true,
	},
	{
		without: "the count of a pass's resumes",
		edits:   []edit{{counts, "SELECT o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account, -1 AS n", "SELECT o.account_id, o.campaign_id, o.paused_reason, o.waits_for_account, 0 AS n"}},
		pkg:     "./schema", tests: []string{"TestCountsAreExactInEverySnapshot"},
	},
	{
		without: "the wait of a fold for running transactions",
		edits:   []edit{{counts, "IF thaw.deltas_settled(state.mark_xmax) THEN", "IF true THEN"}},
		pkg:     "./schema", tests: []string{"TestFoldingWaitsForOpenDeltas"},
	},
	{
		without: "the database's clock in a sweep",
		edits:   []edit{{"worker/sweep.go", "case opened.IsOver:", "case !tick.Equal(time.Now().Truncate(15 * time.Minute)):"}},
		pkg:     "./worker", tests: []string{"TestSweepUsesDatabaseClock"}, inCI: true,
	},
	{
		without: "the database's clock in the schedule",
		edits:   []edit{{"worker/watchdog.go", "ours.Add(r.ahead).Sub(r.origin)", "ours.Sub(r.origin)"}},
		pkg:     "./worker", tests: []string{"TestScheduledJobUsesDatabaseTick", "TestNextSweepIsShortlyAfterTheTickBegins"},
	},
	{
		without: "the timeouts of a transaction",
		edits:   []edit{{"internal/store/store.go", "milliseconds(IdleTimeout))", "milliseconds(0))"}},
		pkg:     "./worker", tests: []string{"TestStoreTransactionsHaveTimeouts"},
	},
	{
		without: "the timeouts of a transaction in one round trip",
		edits:   []edit{{"internal/store/trip.go", "milliseconds(LockTimeout)", "milliseconds(0)"}},
		pkg:     "./worker", tests: []string{"TestPassFailsOnLockTimeout"},
	},
	{
		without: "the key of a delivery",
		edits:   []edit{{signals, "account.id, p_delivery_key, p_raw_status", "account.id, NULL, p_raw_status"}},
		pkg:     "./schema", tests: []string{"TestRepeatedDeliveryConcurrently"},
	},
	{
		without: "the key of a job",
		edits:   []edit{{enqueue, "thaw.job_key(p_kind, p_args), p_unique_states)", "NULL, NULL)"}},
		pkg:     "./jobs", tests: []string{"TestJobsFromSQLAndFromGoAreTheSame"},
	},
	{
		without: "safety mode in every lane",
		edits:   []edit{{backlog, "WHEN p_is_safety_on THEN 'safety_mode'", ""}},
		pkg:     "./worker", tests: []string{"TestNoStampedeAfterIncident", "TestBlockedAccountResumesNothing"}, inCI: true,
	},
	{
		without: "safety mode in the verdict of a pass",
		edits: []edit{{resumes, "coalesce(thaw.blocked_by(account), 'resumed')",
			"coalesce(nullif(thaw.blocked_by(account), 'safety_mode'), 'resumed')"}},
		pkg: "./worker", tests: []string{"TestNoStampedeAfterIncident", "TestBlockedAccountResumesNothing"},
	},
	{
		without: "safety mode in the plan of a tick",
		edits: []edit{{plans, "WHERE thaw.block_reason(account, safety.since IS NOT NULL, workspace.auto_resume, workspace.shadow) IS NULL",
			"WHERE thaw.block_reason(account, false, workspace.auto_resume, workspace.shadow) IS NULL"}},
		pkg: "./worker", tests: []string{"TestBlockedAccountResumesNothing"},
	},
	{
		without: "the check for losses by a signal",
		edits:   []edit{{signals, "PERFORM thaw.check_losses();", "NULL;"}},
		pkg:     "./schema", tests: []string{"TestManyLostAccountsEnterSafetyMode"},
	},
	{
		without: "the check that safety mode is off before entering it",
		edits: []edit{{safety, "accounts_lost = p_accounts_lost, accounts_connected = p_accounts_connected\n    WHERE s.since IS NULL;",
			"accounts_lost = p_accounts_lost, accounts_connected = p_accounts_connected;"}},
		pkg: "./schema", tests: []string{"TestManualSafetyMode"},
	},
	{
		without: "the trigger that keeps a hold from being shortened",
		edits:   []edit{{fleet, "FOR EACH ROW WHEN (OLD.hold_until > thaw.now())", "FOR EACH ROW WHEN (false)"}},
		pkg:     "./schema", tests: []string{"TestHoldIsNeverShortened"},
	},
	{
		without: "immutable account identities for the platform's role",
		edits: []edit{{guards, "OLD.id <> NEW.id OR OLD.workspace_id <> NEW.workspace_id OR OLD.provider <> NEW.provider\n        OR OLD.provider_account_id <> NEW.provider_account_id)",
			"OLD.id <> NEW.id OR OLD.workspace_id <> NEW.workspace_id OR OLD.provider <> NEW.provider)"}},
		pkg: "./schema", tests: []string{"TestPlatformCannotChangeIdentities"},
	},
	{
		without: "the search_path of functions",
		edits:   []edit{{guards, "EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', f);", "NULL;"}},
		pkg:     "./schema", tests: []string{"TestFunctionsFixTheirSearchPath", "TestNothingInPublicRunsAsThaw"},
	},
	{
		without: "a hold in every lane",
		edits:   []edit{{backlog, "WHEN p_account.hold_until > thaw.now() THEN 'account_on_hold'", ""}},
		pkg:     "./worker", tests: []string{"TestBlockedAccountResumesNothing"},
	},
	{
		without: "the separate reason of a manual pause",
		edits:   []edit{{people, "WHEN 'paused' THEN 'paused_by_user'::thaw.pause_reason", "WHEN 'paused' THEN 'account_issue'::thaw.pause_reason"}},
		pkg:     "./worker", tests: []string{"TestRequeuedProspectsResumeInTurn"},
	},
	{
		without: "the message of a pass in its transaction (published afterwards instead)",
		edits: []edit{
			{resumes, "IF resumed > 0 THEN\n        PERFORM thaw.publish_resumed(", "IF resumed > 0 AND p_lane <> 'signal' THEN\n        PERFORM thaw.publish_resumed("},
			{"worker/resume.go", "message := \"resumed by signal\"", `if pass.Resumed > 0 {
		if _, err := w.store.Pool().Exec(ctx, "SELECT thaw.publish_resumed(a, 'signal', false, NULL, $2, NULL, $3, $4, 0) FROM thaw.accounts AS a WHERE a.id = $1",
			args.AccountID, args.SignalID, pass.Resumed, pass.Moved); err != nil {
			return err
		}
	}
	message := "resumed by signal"`},
		},
		pkg: "./worker", tests: []string{"TestEveryPassIsReportedOnceDespiteCrashes"},
	},
	{
		without: "the message of a pass in its transaction",
		edits:   []edit{{resumes, "IF resumed > 0 THEN\n        PERFORM thaw.publish_resumed(", "IF false THEN\n        PERFORM thaw.publish_resumed("}},
		pkg:     "./schema", tests: []string{"TestPassPublishesResumedProspects", "TestRollbackPublishesNothing"},
	},
	{
		without: "the job of a message in its transaction",
		edits:   []edit{{outbox, "PERFORM thaw.enqueue('deliver', ", "PERFORM 0 WHERE false AND 0 < thaw.enqueue('deliver', "}},
		pkg:     "./schema", tests: []string{"TestSafetyModePublishesMessages", "TestPassPublishesResumedProspects"},
	},
	{
		without: "the 2xx that completes a delivery",
		edits:   []edit{{"worker/deliver.go", "case answer.Verdict == outbound.Delivered:", "case answer.Verdict != outbound.Gone:"}},
		pkg:     "./worker", tests: []string{"TestResentMessageKeepsItsID", "TestMessageIsGivenUpAndReplayed"},
	},
	{
		without: "the check that a delivery is still waiting",
		edits:   []edit{{"internal/dbsqlc/webhooks.sql.go", "WHERE o.message_id = $2 AND d.state = 'waiting'", "WHERE o.message_id = $2"}},
		pkg:     "./worker", tests: []string{"TestResentMessageKeepsItsID"},
	},
	{
		without: "the unique index of a step",
		edits:   []edit{{ledger, "CREATE UNIQUE INDEX actions_step_key", "CREATE INDEX actions_step_key"}},
		pkg:     "./schema", tests: []string{"TestDatabaseRefusesSecondInvite"},
	},
	{
		without: "the unique index of open invites",
		edits:   []edit{{ledger, "CREATE UNIQUE INDEX actions_invite_key", "CREATE INDEX actions_invite_key"}},
		pkg:     "./schema", tests: []string{"TestDatabaseRefusesSecondInvite"},
	},
	{
		without: "unknown actions in what is used",
		edits:   []edit{{ledger, "RETURN p_state IN ('reserved', 'started', 'sent', 'unknown');", "RETURN p_state IN ('reserved', 'started', 'sent');"}},
		pkg:     "./schema", tests: []string{"TestShownUseIsCountedFromRows", "TestCrashAfterTheCallIsUnknown"}, inCI: true,
	},
	{
		without: "reserved actions in what is used",
		edits:   []edit{{ledger, "RETURN p_state IN ('reserved', 'started', 'sent', 'unknown');", "RETURN p_state IN ('started', 'sent', 'unknown');"}},
		pkg:     "./schema", tests: []string{"TestFiftyRacersOnACapOfThirtyReserveThirty", "TestOverlappingSendersSendOnce"},
	},
	{
		without: "the lock on the sender",
		edits:   []edit{{reserves, "WHERE s.id = known FOR NO KEY UPDATE;", "WHERE s.id = known;"}},
		pkg:     "./schema", tests: []string{"TestAccountsOfOnePersonRaceForOneQuota"}, inCI: true,
	},
	{
		without: "the gates in the last look",
		edits:   []edit{{reserves, "result.code := gate.code;", "result.code := NULL;"}},
		pkg:     "./schema", tests: []string{"TestStartLooksAgain", "TestLoweredCapHoldsForWhatIsReserved"}, inCI: true,
	},
	{
		without: "the account and the step in the last look",
		edits:   []edit{{reserves, "IF gate.enrollment_id IS NULL OR gate.account_id IS DISTINCT FROM action.account_id THEN", "IF gate.enrollment_id IS NULL THEN"}},
		pkg:     "./schema", tests: []string{"TestStartRefusesMovedEnrollment"},
	},
	{
		without: "the end of a reservation in the last look",
		edits:   []edit{{reserves, "ELSIF action.lease_until <= at THEN", "ELSIF false THEN"}},
		pkg:     "./schema", tests: []string{"TestDeadSenderGivesItsSlotBackOnce"},
	},
	{
		without: "the state in the last look",
		edits:   []edit{{reserves, "IF action.state <> 'reserved' THEN", "IF action.state NOT IN ('reserved', 'started') THEN"}},
		pkg:     "./schema", tests: []string{"TestOverlappingSendersSendOnce", "TestReserveStartSettle"},
	},
	{
		without: "unknown as the end of a started action",
		edits:   []edit{{settles, "CASE a.state WHEN 'reserved' THEN 'expired' ELSE 'unknown' END::", "CASE a.state WHEN 'reserved' THEN 'expired' ELSE 'released' END::"}},
		pkg:     "./schema", tests: []string{"TestCrashAfterTheCallIsUnknown", "TestLateReportIsTaken"},
	},
	{
		without: "the condition that a lease is over",
		edits:   []edit{{settles, "WHERE ended.lease_until <= at ORDER BY", "WHERE ended.lease_until IS NOT NULL ORDER BY"}},
		pkg:     "./schema", tests: []string{"TestDeadSenderGivesItsSlotBackOnce"},
	},
	{
		without: "the condition that what is released was not started",
		edits:   []edit{{settles, "WHEN result = 'released' THEN action.state = 'reserved'", "WHEN result = 'released' THEN true"}},
		pkg:     "./schema", tests: []string{"TestSettlementIsFinal"},
	},
	{
		without: "the condition that only a person settles an unknown action",
		edits:   []edit{{settles, "ELSE action.state = 'started' OR action.state = 'unknown' AND action.outcome IS NULL END)", "ELSE action.state IN ('started', 'unknown') END)"}},
		pkg:     "./schema", tests: []string{"TestSettlementIsFinal"},
	},
	{
		without: "the note that a settlement of an earlier hour has changed",
		edits:   []edit{{"schema/migrations/00052_action_hours.sql", "OLD.started_at IS NOT NULL AND OLD.settled_at IS NOT NULL", "false"}},
		pkg:     "./schema", tests: []string{"TestChartFollowsChangedSettlements"},
	},
	{
		without: "the ID of the provider as a proof",
		edits:   []edit{{settles, "IF result = 'sent' AND settle_action.provider_ref IS NULL AND", "IF false AND"}},
		pkg:     "./schema", tests: []string{"TestSentWithoutTheProvidersIDIsUnknown"},
	},
	{
		without: "the release of reservations of an account that disconnects",
		edits:   []edit{{settles, "WHEN (OLD.status = 'connected' AND NEW.status <> 'connected') EXECUTE FUNCTION thaw.accounts_release_actions();", "WHEN (false) EXECUTE FUNCTION thaw.accounts_release_actions();"}},
		pkg:     "./schema", tests: []string{"TestPauseReleasesWhatIsReserved"},
	},
	{
		without: "the hold after three refusals",
		edits:   []edit{{settles, "IF refusals >= 3 AND account.id IS NOT NULL THEN", "IF false THEN"}},
		pkg:     "./schema", tests: []string{"TestThreeRefusalsHoldTheKind"},
	},
	{
		without: "the hold after a limit of the provider",
		edits:   []edit{{settles, "WHEN result = 'limited' THEN", "WHEN false THEN"}},
		pkg:     "./schema", tests: []string{"TestLimitedHoldsTheKindAndKeepsTheStep"},
	},
	{
		without: "the gate of the window (inverted)",
		edits:   []edit{{gates, "WHEN NOT gap.is_open THEN 'window_closed'", "WHEN gap.is_open THEN 'window_closed'"}},
		pkg:     "./schema", tests: []string{"TestWindowsOfTheNearestOwner", "TestStartLooksAgain"}, inCI: true,
	},
	{
		without: "the gate of a missing zone",
		edits:   []edit{{gates, "WHEN gap.day_zone IS NULL OR gap.is_open IS NULL OR gap.window_opens_at IS NULL THEN 'window_has_no_zone'", ""}},
		pkg:     "./schema", tests: []string{"TestMissingZoneIsACode"},
	},
	{
		without: "the cap of the day",
		edits:   []edit{{gates, "WHEN gap.today >= gap.per_day THEN 'daily_cap'", ""}},
		pkg:     "./schema", tests: []string{"TestFiftyRacersOnACapOfThirtyReserveThirty", "TestStartLooksAgain"},
	},
	{
		without: "the cap of 168 hours",
		edits:   []edit{{gates, "WHEN gap.in_week >= gap.per_week THEN 'weekly_cap'", ""}},
		pkg:     "./schema", tests: []string{"TestWeekIsTheLast168Hours"},
	},
	{
		without: "the gap between actions",
		edits:   []edit{{gates, "WHEN gap.allowed_at > moment THEN 'cooldown'", ""}},
		pkg:     "./schema", tests: []string{"TestReserveStartSettle", "TestStartKeepsTheGap"},
	},
	{
		without: "the holds of kinds",
		edits:   []edit{{gates, "WHEN gap.held_until IS NOT NULL THEN 'kind_on_hold'", ""}},
		pkg:     "./schema", tests: []string{"TestFullCapOpensByItself", "TestStartLooksAgain"},
	},
	{
		without: "the account in the gates of an action",
		edits:   []edit{{gates, "WHEN facts.account_code IS NOT NULL THEN facts.account_code", ""}},
		pkg:     "./schema", tests: []string{"TestStartLooksAgain"},
	},
	{
		without: "the campaign in the gates of an action",
		edits:   []edit{{gates, "WHEN facts.campaign_status <> 'running' THEN 'campaign_not_running'", ""}},
		pkg:     "./schema", tests: []string{"TestStartLooksAgain"},
	},
	{
		without: "the cap of a campaign",
		edits:   []edit{{gates, "WHEN facts.campaign_used >= facts.campaign_cap THEN 'campaign_cap'", ""}},
		pkg:     "./schema", tests: []string{"TestStartLooksAgain"},
	},
	{
		without: "the account in the question for an action",
		edits:   []edit{{gates, "WHEN facts.account_id IS NULL THEN 'no_account'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer"},
	},
	{
		without: "the status of the prospect in the gates of an action",
		edits:   []edit{{gates, "WHEN facts.status <> 'active' THEN 'not_active'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the step of the campaign in the gates of an action",
		edits:   []edit{{gates, "WHEN facts.kind IS NULL OR (facts.expected", "WHEN false AND (facts.expected"}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the time at which a prospect is due",
		edits:   []edit{{gates, "WHEN facts.next_action_at > at AND p_starting IS NULL THEN 'not_due'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the gate of a kind that has no limits",
		edits:   []edit{{gates, "WHEN gap.per_day IS NULL THEN 'limits_missing'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the gate of a kind that is unknown",
		edits:   []edit{{gates, "WHEN facts.is_unlimited THEN 'limits_missing'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer"},
	},
	{
		without: "the ceiling of open invites",
		edits:   []edit{{gates, "WHEN facts.pending_code IS NOT NULL THEN facts.pending_code", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the gate of prospects who are invited or connected",
		edits:   []edit{{gates, "WHEN facts.pair_id IS NOT NULL THEN CASE", "WHEN false THEN CASE"}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestSecondInviteInAnotherSpellingIsRefused"},
	},
	{
		without: "the spellings of prospects who are invited",
		edits:   []edit{{gates, "thaw.prospect_key(x.prospect_url) = asked.invited\n                AND (x.is_used", "x.prospect_url = asked.prospect_url\n                AND (x.is_used"}},
		pkg:     "./schema", tests: []string{"TestSecondInviteInAnotherSpellingIsRefused"},
	},
	{
		without: "the three weeks after a withdrawn invite",
		edits:   []edit{{gates, "WHEN facts.withdrawn_at > at - interval '21 days' THEN 'invite_withdrawn'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the holds of kinds of the person's other accounts",
		edits:   []edit{{gates, "(h.account_id = state.id OR h.sender_id = state.sender_id)", "h.account_id = state.id"}},
		pkg:     "./schema", tests: []string{"TestCorrectedHoldOpensForSiblings"},
	},
	{
		without: "half of the ramp after a restriction",
		edits:   []edit{{ledger, "ELSE p_at END) / 2, 1) - 1)", "ELSE p_at END) / 1, 1) - 1)"}},
		pkg:     "./schema", tests: []string{"TestRestrictionHalvesTheRamp", "TestRampFollowsItsModel"},
	},
	{
		without: "the second day of a request that was under way at midnight",
		edits:   []edit{{ledger, "RETURN p_local_day = p_day OR p_used_at >= p_began_at OR p_state = 'started';", "RETURN p_local_day = p_day;"}},
		pkg:     "./schema", tests: []string{"TestActionUnderWayAtMidnightCountsIntoBothDays"},
	},
	{
		without: "the second day of the cap of a campaign for a request that was under way at midnight",
		edits:   []edit{{ledger, "OR p_local_day = p_day - 1 AND ((CASE", "OR false AND ((CASE"}},
		pkg:     "./schema", tests: []string{"TestCampaignCountsWhatIsUnderWayAtMidnight"},
	},
	{
		without: "the step back of the ramp after an idle month",
		edits:   []edit{{ledger, "WHEN p_last_started_at < p_at - interval '30 days' AND", "WHEN false AND"}},
		pkg:     "./schema", tests: []string{"TestIdleMonthStepsTheRampBackOneWeek"},
	},
	{
		without: "what the step itself has done in its gates",
		edits:   []edit{{gates, "WHEN facts.done IS NOT NULL THEN CASE facts.done", "WHEN false THEN CASE facts.done"}},
		pkg:     "./schema", tests: []string{"TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "shadow mode in the gates of what Thaw gives out",
		edits:   []edit{{gates, "WHEN facts.is_shadow THEN 'shadow_mode'", ""}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer"},
	},
	{
		without: "the signal of a sender that lost its account",
		edits:   []edit{{settles, "WHEN result IN ('account_lost', 'restricted') THEN", "WHEN result IN ('account_lost', 'restricted') AND false THEN"}},
		pkg:     "./schema", tests: []string{"TestAccountLostIsASignal"},
	},
	{
		without: "the turns of workspaces in the scheduler",
		edits:   []edit{{schedule, "row_number() OVER (PARTITION BY one.workspace_id ORDER BY", "row_number() OVER (ORDER BY"}},
		pkg:     "./schema", tests: []string{"TestClaimsAreFairAcrossWorkspaces"},
	},
	{
		without: "the share of other workspaces beside a large backlog",
		edits:   []edit{{schedule, "IF cardinality(accounts) = bound THEN", "IF false THEN"}},
		pkg:     "./schema", tests: []string{"TestABacklogOfOneWorkspaceDelaysNoOther"},
	},
	{
		without: "the turns of campaigns in the scheduler",
		edits:   []edit{{schedule, "ORDER BY line.due_at > at, line.campaign_id <= account.turn,", "ORDER BY line.due_at > at,"}},
		pkg:     "./schema", tests: []string{"TestCampaignsAndSiblingsTakeTurns"},
	},
	{
		without: "the nudges of rows that the scheduler has locked",
		edits:   []edit{{schedule, "WHERE (first.account_id IN (SELECT unnest(ready))) IS NOT TRUE;", "WHERE false;"}},
		pkg:     "./schema", tests: []string{"TestNoChangeIsMissedDuringALook"},
	},
	{
		without: "the nudge of a prospect that is due earlier",
		edits:   []edit{{schedule, "OLD.due_at IS DISTINCT FROM NEW.due_at OR OLD.account_id", "OLD.account_id"}},
		pkg:     "./schema", tests: []string{"TestChangesAreNoticedAtOnce"},
	},
	{
		without: "the delay of prospects that are invited already",
		edits:   []edit{{schedule, "FROM result WHERE e.id = result.enrollment_id AND result.is_passed", "FROM result WHERE false"}},
		pkg:     "./schema", tests: []string{"TestInvitedProspectDoesNotHoldUpOthers"},
	},
	{
		without: "the difference between an invite and a connection",
		edits:   []edit{{gates, "CASE WHEN facts.is_connected THEN 'already_connected'", "CASE WHEN false THEN 'already_connected'"}},
		pkg:     "./schema", tests: []string{"TestFirstClosedGateIsTheAnswer", "TestEveryGateHasItsCodeAndOpening"},
	},
	{
		without: "the restriction in the signal of a sender",
		edits:   []edit{{settles, "CASE result WHEN 'restricted' THEN 'restricted' ELSE 'disconnected' END", "'disconnected'"}},
		pkg:     "./schema", tests: []string{"TestAccountLostIsASignal"},
	},
	{
		without: "the time of the request in the signal of a sender",
		edits:   []edit{{settles, "ELSE 'disconnected' END, action.started_at, NULL", "ELSE 'disconnected' END, at, NULL"}},
		pkg:     "./schema", tests: []string{"TestAccountLostBeforeItCameBackIsOver"},
	},
	{
		without: "requests that are under way in the second day of the cap of a campaign",
		edits:   []edit{{ledger, "(CASE WHEN p_state = 'started' THEN p_at ELSE p_used_at END)", "(p_used_at)"}},
		pkg:     "./schema", tests: []string{"TestCampaignCountsWhatIsUnderWayAtMidnight"},
	},
	{
		without: "the wait of an account until its gate opens",
		edits:   []edit{{schedule, "WHEN result.enrollment_id IS NOT NULL THEN coalesce(result.opens_at, at + interval '1 hour')", "WHEN result.enrollment_id IS NOT NULL THEN at"}},
		pkg:     "./schema", tests: []string{"TestFullCapIsDeferredOnceToItsOpening"},
	},
	{
		without: "skipping what is under way in the scheduler",
		edits:   []edit{{schedule, "(x.is_used OR x.state = 'already') LIMIT 1) IS NULL", "false LIMIT 1) IS NULL"}},
		pkg:     "./schema", tests: []string{"TestCampaignsAndSiblingsTakeTurns"},
	},
	{
		without: "the lock on the cap of a campaign",
		edits:   []edit{{reserves, "ORDER BY own.id FOR NO KEY UPDATE;", "ORDER BY own.id;"}},
		pkg:     "./schema", tests: []string{"TestAccountsRaceForTheCapOfACampaign"},
	},
	{
		without: "the age of a transaction that reserves",
		edits:   []edit{{reserves, "IF clock_timestamp() - pg_catalog.now() > thaw.longest_reserving() THEN", "IF false THEN"}},
		pkg:     "./schema", tests: []string{"TestReservationsNeedAShortTransaction", "TestStartThatWaitedTooLongIsRefused"},
	},
	{
		without: "the release of reservations of a campaign that stops",
		edits:   []edit{{settles, "WHEN (OLD.status = 'running' AND NEW.status <> 'running') EXECUTE FUNCTION thaw.campaigns_release_actions();", "WHEN (false) EXECUTE FUNCTION thaw.campaigns_release_actions();"}},
		pkg:     "./schema", tests: []string{"TestPauseReleasesWhatIsReserved"},
	},
	{
		without: "the release of reservations of a prospect that the platform pauses",
		edits:   []edit{{settles, "OLD.status = 'active' AND (NEW.status = 'paused' OR NEW.status <> 'active'", "false AND (NEW.status = 'paused' OR NEW.status <> 'active'"}},
		pkg:     "./schema", tests: []string{"TestPauseReleasesWhatIsReserved"},
	},
	{
		without: "the release of reservations of prospects that Thaw pauses",
		edits:   []edit{{settles, "WHERE e.status = 'paused' ORDER BY open.id", "WHERE false ORDER BY open.id"}},
		pkg:     "./schema", tests: []string{"TestPauseReleasesWhatIsReserved"},
	},
	{
		without: "the quota of the person behind an account",
		edits:   []edit{{ledger, "RETURN CASE WHEN p_account.member_id IS NOT NULL THEN", "RETURN CASE WHEN false THEN"}, {ledger, "SELECT min(linked.member_id)", "SELECT min(NULL)"}},
		pkg:     "./schema", tests: []string{"TestPersonHasOneQuota"},
	},
	{
		without: "the ramp of the person behind an account",
		edits:   []edit{{gates, "zoned.ramp_started_at, zoned.last_started_at, zoned.restricted_at,", "zoned.restricted_at, zoned.last_started_at, zoned.restricted_at,"}},
		pkg:     "./schema", tests: []string{"TestRampBeginsWithTheFirstSentAction"},
	},
	{
		without: "the limit of an override during the ramp",
		edits:   []edit{{gates, "THEN least(p_default, p_own, p_ceiling)", "THEN least(coalesce(p_own, p_default), p_ceiling)"}},
		pkg:     "./schema", tests: []string{"TestOverrideOnlyLowersDuringTheRamp"},
	},
	{
		without: "the 24 hours of a day after a change of the zone",
		edits:   []edit{{zones, "IF p_zone = p_day_zone THEN", "IF true THEN"}},
		pkg:     "./schema", tests: []string{"TestChangeOfZoneNeverGivesASecondDay"},
	},
	{
		without: "the hold of a kind that is never shortened",
		edits:   []edit{{limits, "IF (TG_OP = 'DELETE' OR NEW.until < OLD.until) AND", "IF false AND"}},
		pkg:     "./schema", tests: []string{"TestHoldsOfOneKind"},
	},
}
