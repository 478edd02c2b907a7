package importer

import (
	"context"
	"errors"
)

// A Preview says what an import would do to enrollments. It is exact unless they change meanwhile,
// or the file moves existing ones to an account that it inserts: these count as new.
type Preview struct {
	Rows      int64 `json:"rows"`
	New       int64 `json:"new"`
	Unchanged int64 `json:"unchanged"`
	// Existing rows that would change. Pausing, Resuming, Ending and Other add up to Changed.
	Changed  int64 `json:"changed"`
	Pausing  int64 `json:"pausing"`  // pending or active, and paused in the file
	Resuming int64 `json:"resuming"` // paused, and pending or active in the file
	Ending   int64 `json:"ending"`   // completed, replied, failed or removed in the file
	Other    int64 `json:"other"`    // another step, time, account or reason
	// Rows that differ from the file but would be kept, as in [Result]. They are part of Unchanged.
	Kept         int64 `json:"kept"`
	ResumedSince int64 `json:"resumed_since"`
	Newer        int64 `json:"newer"`
}

// errPreviewed ends the transaction of a slice that was only previewed.
var errPreviewed = errors.New("previewed")

// preview chooses the changes of each slice as load does, counts them, and rolls back.
func (l *loader) preview(ctx context.Context) (Preview, error) {
	p := Preview{Rows: l.result.Enrollments}
	var known int64
	err := l.each(ctx, "import_rows", rowColumns, "", func(s slice) error {
		if err := s.run(ctx, "chunk_rows", "import_slice", rowColumns, "slice", "enrollments_changes"); err != nil {
			return err
		}
		if err := s.count(ctx, "preview", &p.Pausing, &p.Resuming, &p.Ending, &p.Changed, &known); err != nil {
			return err
		}
		if err := s.count(ctx, "kept", &p.Kept, &p.ResumedSince, &p.Newer); err != nil {
			return err
		}
		return errPreviewed
	})
	p.Other = p.Changed - p.Pausing - p.Resuming - p.Ending
	p.New = p.Rows - known
	p.Unchanged = known - p.Changed
	return p, err
}
