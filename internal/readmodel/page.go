package readmodel

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// A Page is a part of a list. Rows that come or go meanwhile neither repeat nor hide others: a page begins after the last row
// of the one before, not after a number of rows.
type Page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"` // for Paging; nil: this is the last page
}

// Paging says which part of a list is wanted. The zero Paging is the first page.
type Paging struct {
	Cursor string // NextCursor of the page before; empty: the first page
	Limit  int    // items, at most MaxLimit; 0: DefaultLimit
}

// Sizes of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// ErrCursor is returned for a cursor that no page of the list has handed out.
var ErrCursor = errors.New("this is not a cursor of this list: take next_cursor from a page of the same list, or leave it out for the first page")

// limit returns how many items the page has.
func (p Paging) limit() int {
	if p.Limit == 0 {
		return DefaultLimit
	}
	return max(1, min(p.Limit, MaxLimit))
}

// size returns how many rows to read: one more than the page has, to see whether there is a next one.
func (p Paging) size() int32 { return int32(p.limit() + 1) }

// position is what a cursor holds: where a page of a list ended. Nobody is let see more by another position, because whose rows
// may be seen does not come from there.
type position[K any] struct {
	List string `json:"list"`
	Last K      `json:"last"`
}

// after reads the position from a cursor; without a cursor it is start.
func after[K any](p Paging, list string, start K) (K, error) {
	if p.Cursor == "" {
		return start, nil
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(p.Cursor)
	if err != nil {
		return start, ErrCursor
	}
	decoder := json.NewDecoder(bytes.NewReader(decoded))
	decoder.DisallowUnknownFields()
	var at position[K]
	if err := decoder.Decode(&at); err != nil || decoder.More() || at.List != list {
		return start, ErrCursor
	}
	return at.Last, nil
}

// paged makes the page of the rows that were read for it.
func paged[R, T, K any](p Paging, list string, rows []R, item func(R) T, last func(R) K) (Page[T], error) {
	page := Page[T]{Items: make([]T, 0, len(rows))}
	shown := rows[:min(len(rows), p.limit())]
	for _, row := range shown {
		page.Items = append(page.Items, item(row))
	}
	if len(shown) < len(rows) {
		at, err := json.Marshal(position[K]{List: list, Last: last(shown[len(shown)-1])})
		if err != nil {
			return Page[T]{}, fmt.Errorf("making a cursor: %w", err)
		}
		next := base64.RawURLEncoding.EncodeToString(at)
		page.NextCursor = &next
	}
	return page, nil
}

// Positions in the lists by workspace, and in those with the newest first.
type (
	inWorkspace struct {
		Workspace int64 `json:"workspace"`
		ID        int64 `json:"id"`
	}
	newest struct {
		ID int64 `json:"id"`
	}
	newestTick struct {
		Tick time.Time `json:"tick"`
	}
)

var (
	beforeAny     = newest{math.MaxInt64}
	beforeAnyTick = newestTick{time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}
)
