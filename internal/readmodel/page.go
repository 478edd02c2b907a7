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

// A Page is a part of a list. Pages use keyset pagination: a page begins after the last row of the
// previous one, so rows that are added or removed in between neither repeat nor hide other rows.
type Page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"` // for Paging.Cursor; nil on the last page
}

// Paging selects a page of a list. The zero Paging is the first page.
type Paging struct {
	Cursor string // NextCursor of the previous page; empty for the first page
	Limit  int    // number of items, at most MaxLimit; 0 means DefaultLimit
}

// Page sizes.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// ErrCursor is returned for a cursor that is not from a page of the same list.
var ErrCursor = errors.New("not a cursor of this list: use next_cursor from a page of the same list, or omit it for the first page")

// limit returns the maximum number of items on the page.
func (p Paging) limit() int {
	if p.Limit == 0 {
		return DefaultLimit
	}
	return max(1, min(p.Limit, MaxLimit))
}

// size returns the number of rows to read: one more than the limit, to find out whether there is a
// next page.
func (p Paging) size() int32 { return int32(p.limit() + 1) }

// position is the content of a cursor: the list and the last row of a page. A forged position
// reveals nothing, because the scope of a query does not come from the cursor.
type position[K any] struct {
	List string `json:"list"`
	Last K      `json:"last"`
}

// after returns the position in a cursor, or start if there is no cursor.
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

// paged builds a page from the rows that were read for it.
func paged[R, T, K any](p Paging, list string, rows []R, item func(R) T, last func(R) K) (Page[T], error) {
	page := Page[T]{Items: make([]T, 0, len(rows))}
	shown := rows[:min(len(rows), p.limit())]
	for _, row := range shown {
		page.Items = append(page.Items, item(row))
	}
	if len(shown) < len(rows) {
		next, err := cursorOf(list, last(shown[len(shown)-1]))
		if err != nil {
			return Page[T]{}, err
		}
		page.NextCursor = &next
	}
	return page, nil
}

// cursorOf returns the cursor of the page after a position.
func cursorOf[K any](list string, last K) (string, error) {
	at, err := json.Marshal(position[K]{List: list, Last: last})
	if err != nil {
		return "", fmt.Errorf("making a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(at), nil
}

// Positions in lists ordered by workspace, and in lists with the newest first.
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
