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

// A listener receives a notification when a piece of work commits; see benchSchema.
type listener struct{ conn *pgx.Conn }

// A notification says that work has committed: the event, the ID of its row, and when it arrived.
type notification struct {
	event string
	id    string
	at    time.Time
}

func (db *database) listener(ctx context.Context) (*listener, error) {
	conn, err := pgx.Connect(ctx, db.URL)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN bench"); err != nil {
		return nil, err
	}
	return &listener{conn: conn}, nil
}

func (b *listener) close() { _ = b.conn.Close(context.Background()) }

// patience is the maximum time between two notifications before the wait is given up.
const patience = 5 * time.Minute

// next waits for the next notification.
func (b *listener) next(ctx context.Context) (notification, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := b.conn.WaitForNotification(waiting)
	if err != nil {
		if ctx.Err() != nil {
			return notification{}, ctx.Err()
		} else if waiting.Err() != nil {
			err = fmt.Errorf("no work was done within %s", patience)
		}
		return notification{}, err
	}
	event, id, _ := strings.Cut(n.Payload, " ")
	return notification{event, id, time.Now()}, nil
}

// waitTick waits for an event of a tick and returns when it arrived.
func (b *listener) waitTick(ctx context.Context, event string, tick time.Time) (time.Time, error) {
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

// waitAll waits for an event of every account in a share and returns the arrival times in account
// order. It ignores other accounts. On an error it returns the times so far.
func (b *listener) waitAll(ctx context.Context, event string, s share) ([]time.Time, error) {
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
			return heard, errors.New("wrong result: " + event + " " + r.id + " happened twice")
		}
		heard[id-s.first] = r.at
		left--
	}
	return heard, nil
}
