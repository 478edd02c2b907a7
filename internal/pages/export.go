package pages

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

const (
	// maxExport is the maximum number of rows of an export. A longer list is exported in parts, by
	// its filters.
	maxExport = 100_000
	// exportEvery is the write deadline of each part of an export, in place of that of a page.
	exportEvery = 30 * time.Second
)

// An export is a whole list as CSV, with the filters of its page. It reads the list page by page
// while it writes, so its size in memory does not depend on the length of the list.
type export struct {
	name   string // of the file, without extension
	header []string
	// rows calls write for every row and returns its error.
	rows func(write func(row ...string) error) error
}

// export serves a list as CSV.
func (s *site) export(of func(*http.Request) (*export, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := checkQuery(r.URL.Query())
		var e *export
		if err == nil {
			e, err = of(r)
		}
		if err == nil {
			err = e.write(w)
		}
		var aborted abortedError
		switch {
		case errors.As(err, &aborted):
			s.Logger.WarnContext(r.Context(), "an export is incomplete", "path", r.URL.Path, "error", err)
			panic(http.ErrAbortHandler)
		case err != nil:
			status, v := s.problem(r, err)
			s.write(w, r, status, v)
		}
	}
}

// exportOf returns the export of a list.
func exportOf[T any](name string, header []string, read func(readmodel.Paging) (readmodel.Page[T], error), row func(T) []string) *export {
	return &export{name, header, func(write func(row ...string) error) error {
		paging := readmodel.Paging{Limit: readmodel.MaxLimit}
		for written := 0; ; {
			page, err := read(paging)
			if err != nil {
				return err
			}
			for _, item := range page.Items {
				if err := write(row(item)...); err != nil {
					return err
				}
			}
			written += len(page.Items)
			switch {
			case page.NextCursor == nil:
				return nil
			case written >= maxExport:
				return write(fmt.Sprintf("The export ends here, after %s rows. Use a filter to export the rest.", count(written)))
			}
			paging.Cursor = *page.NextCursor
		}
	}}
}

// write sends the export. A failure after the first row aborts the connection, so that the browser
// reports an incomplete download.
func (e *export) write(w http.ResponseWriter) error {
	out := http.NewResponseController(w)
	file := csv.NewWriter(w)
	begun := false
	begin := func() error {
		begun = true
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.csv"`, e.name))
		w.Header().Set("Cache-Control", "no-store")
		return file.Write(e.header)
	}
	rows := 0
	err := e.rows(func(row ...string) error {
		if !begun {
			if err := begin(); err != nil {
				return err
			}
		}
		if rows%readmodel.MaxLimit == 0 {
			_ = out.SetWriteDeadline(time.Now().Add(exportEvery))
		}
		rows++
		for i, cell := range row {
			row[i] = harmless(cell)
		}
		return file.Write(row)
	})
	if err == nil && !begun {
		err = begin()
	}
	if file.Flush(); err == nil {
		err = file.Error()
	}
	if err != nil && begun {
		return abortedError{err}
	}
	return err
}

// An abortedError is a failure after a part of an answer was sent.
type abortedError struct{ error }

func (e abortedError) Unwrap() error { return e.error }

// harmless keeps a spreadsheet from running a cell as a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// moment formats a time for an export.
func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// digits formats a number for an export.
func digits[N int | int32 | int64](n *N) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}
