package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/thawline/thaw/internal/adopt"
	"github.com/thawline/thaw/internal/enum"
	"github.com/thawline/thaw/internal/readmodel"
	"github.com/thawline/thaw/internal/store"
)

type adoptApplyCmd struct {
	database    `embed:""`
	mappingFlag `embed:""`
	reasonFlag  `embed:""`
}

func (adoptApplyCmd) Help() string {
	return "Enters safety mode, creates the triggers, copies the rows that exist in batches, compares both sides, and exits safety mode. New workspaces start in shadow mode; the others keep their mode. If it is interrupted, run it again: it continues where it stopped. Run it again after a change to the mapping or to the tables.\n\nExample:\n  thaw adopt apply --reason \"first run on staging\""
}

// applying begins the reason of the safety mode during an apply.
const applying = "thaw adopt apply: "

func (c *adoptApplyCmd) Run(ctx context.Context, e *env) error {
	m, err := c.read(e)
	if err != nil {
		return err
	}
	return withStore(ctx, e, c.database, func(db *store.Store) error {
		pool, o := db.Pool(), operate(db)
		prepared, err := prepareAdoption(ctx, pool, m, c.Mapping, c.RiverSchema)
		if err != nil {
			return err
		}
		if _, err := o.Record(ctx, enum.ActionAdopted, inputDetail(c.Mapping), c.Reason); err != nil {
			return err
		}
		if _, err := o.EnterSafety(ctx, applying+c.Reason, true); err != nil {
			return err
		}
		result, err := install(ctx, e, pool, prepared)
		if err != nil {
			return fmt.Errorf("%w\nSafety mode stays on until \"thaw adopt apply\" succeeds", err)
		}
		printComparison(e.stdout, result)
		if result.Drift > 0 {
			return fmt.Errorf("the copy differs in %s\nSafety mode stays on. Run \"thaw adopt check --fix\", then \"thaw safety exit\"", many(result.Drift, "row"))
		}
		if err := releaseAccounts(ctx, pool, prepared); err != nil {
			return err
		}
		// An earlier attempt, which was interrupted, may have entered safety mode.
		safety, err := readmodel.ReadSafety(ctx, db)
		switch {
		case err != nil:
			return err
		case safety.On && !strings.HasPrefix(deref(safety.Reason), applying):
			printf(e.stdout, "Done. Safety mode stays on, because it was entered for another reason: thaw safety status\n")
			return nil
		}
		if _, err := o.ExitSafety(ctx, "thaw adopt apply is done"); err != nil {
			return err
		}
		state, err := adopt.ReadState(ctx, pool)
		if err != nil {
			return err
		}
		if !state.ShadowByDefault {
			printf(e.stdout, "Done. New workspaces are live, because all were taken live: thaw adopt status\n")
			return nil
		}
		printf(e.stdout, "Done. New workspaces are in shadow mode: Thaw computes and shows everything, and changes nothing. Run \"thaw adopt run\" for the way back, then: thaw adopt live --workspace KEY\n")
		return nil
	})
}

// install creates the triggers, copies the rows and compares both sides.
func install(ctx context.Context, e *env, pool *pgxpool.Pool, prepared *adopt.Prepared) (adopt.Comparison, error) {
	if err := prepared.Mapping.Start(ctx, pool); err != nil {
		return adopt.Comparison{}, err
	}
	if err := prepared.Install(ctx, pool); err != nil {
		return adopt.Comparison{}, err
	}
	printf(e.stdout, "Installed %s on %s.\n", many(prepared.Plan.TriggerCount(), "trigger"), many(len(prepared.Plan.Tables), "table"))
	if err := backfill(ctx, e, pool, prepared); err != nil {
		return adopt.Comparison{}, err
	}
	return compareAll(ctx, e, pool, prepared, false)
}

// releaseAccounts looks at the schema after a comparison without a difference. If all is there, the
// accounts are no longer held.
func releaseAccounts(ctx context.Context, pool *pgxpool.Pool, prepared *adopt.Prepared) error {
	problems, err := prepared.SchemaProblems(ctx, pool)
	if err != nil {
		return err
	}
	_, err = adopt.Note(ctx, pool, problems, true)
	return err
}

func backfill(ctx context.Context, e *env, pool *pgxpool.Pool, prepared *adopt.Prepared) error {
	shown := newProgress(e.stderr, "copy", "rows", -1)
	done, total := int64(0), map[adopt.Kind]int64{}
	copied, err := prepared.Backfill(ctx, pool, func(kind adopt.Kind, rows int64) {
		done += rows - total[kind]
		total[kind] = rows
		shown.set(done)
	})
	shown.finish()
	if err != nil {
		return err
	}
	for _, kind := range adopt.Kinds {
		printf(e.stdout, "Copied %s", many(copied[kind].Rows, strings.TrimSuffix(string(kind), "s")))
		if failed := copied[kind].Failed; failed > 0 {
			printf(e.stdout, ", of which %s could not be applied (thaw adopt status says why)", number(failed))
		}
		printf(e.stdout, ".\n")
	}
	return adopt.Running(ctx, pool)
}
