package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A bell hears when work is committed; see benchSchema.
type bell struct{ conn *pgx.Conn }

// A ring of the bell: what happened, to what, and when it was heard.
type ring struct {
	event string
	id    string
	at    time.Time
}

func (db *database) bell(ctx context.Context) (*bell, error) {
	conn, err := pgx.Connect(ctx, db.URL)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN bench"); err != nil {
		return nil, err
	}
	return &bell{conn: conn}, nil
}

func (b *bell) close() { _ = b.conn.Close(context.Background()) }

// patience is how long a bell may not ring before the work is given up.
const patience = 5 * time.Minute

// next waits for the next ring.
func (b *bell) next(ctx context.Context) (ring, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := b.conn.WaitForNotification(waiting)
	if err != nil {
		if ctx.Err() != nil {
			return ring{}, ctx.Err()
		} else if waiting.Err() != nil {
			err = fmt.Errorf("waited %s in vain for work to be done", patience)
		}
		return ring{}, err
	}
	event, id, _ := strings.Cut(n.Payload, " ")
	return ring{event, id, time.Now()}, nil
}

// waitTick waits for an event to happen to a tick, and returns when it was heard.
func (b *bell) waitTick(ctx context.Context, event string, tick time.Time) (time.Time, error) {
	for {
		heard, err := b.next(ctx)
		if err != nil {
			return heard.at, err
		}
		if heard.event != event {
			continue
		}
		if at, err := time.Parse(time.RFC3339, heard.id); err != nil || at.Equal(tick) {
			return heard.at, err
		}
	}
}

// waitAll waits for an event to happen to each account of a share, and returns when it was heard, account by account. What
// happens to others is not listened to. On an error it returns what was heard until then.
func (b *bell) waitAll(ctx context.Context, event string, s share) ([]time.Time, error) {
	heard := make([]time.Time, s.size)
	for left := s.size; left > 0; {
		r, err := b.next(ctx)
		if err != nil {
			return heard, err
		}
		id, err := strconv.ParseInt(r.id, 10, 64)
		if r.event != event || err != nil || id < s.first || id > s.last() {
			continue
		}
		if !heard[id-s.first].IsZero() {
			return heard, errors.New("a wrong result: " + event + " " + r.id + " happened twice")
		}
		heard[id-s.first] = r.at
		left--
	}
	return heard, nil
}
