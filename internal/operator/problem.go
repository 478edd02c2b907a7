package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"
)

// A Kind says who can solve a problem, and how.
type Kind int

const (
	// Invalid means that the request has to be changed.
	Invalid Kind = iota + 1
	// NotFound means that what the request names does not exist, or the caller may not see it.
	NotFound
	// Conflict means that the request is valid but not in the current state.
	Conflict
	// Forbidden means that the caller may not do this.
	Forbidden
	// Unavailable means that the database cannot be used now.
	Unavailable
)

// A Problem is an error that a person can act on.
type Problem struct { //nolint:errname // It is the problem that people see.
	Kind Kind
	// Message says what happened and why. It starts in lower case and has no period, like an error.
	Message string
	// Fix says what to do, in sentences. Optional.
	Fix string

	cause error
}

func (p *Problem) Error() string {
	if p.Fix == "" {
		return p.Message
	}
	return p.Message + "\n" + p.Fix
}

// Unwrap returns the error of the database, if there is one.
func (p *Problem) Unwrap() error { return p.cause }

// Sentences returns the problem as sentences.
func (p *Problem) Sentences() string {
	text := p.Message
	// The name of a parameter stays as it is.
	if name, _, _ := strings.Cut(text, " "); !strings.Contains(name, "_") {
		first, size := utf8.DecodeRuneInString(text)
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return strings.TrimSpace(text + " " + p.Fix)
}

func notFound(fix, format string, args ...any) error {
	return &Problem{Kind: NotFound, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func invalid(fix, format string, args ...any) error {
	return &Problem{Kind: Invalid, Message: fmt.Sprintf(format, args...), Fix: fix}
}

// limitReached is the SQLSTATE of the limit for heals of a tenant (thaw.start_heal).
const limitReached = "TH003"

// AsProblem returns the problem in err, or the one that a function of the schema raised. It returns
// nil if err is a failure: its text is then for the log, not for people.
func AsProblem(err error) *Problem {
	var known *Problem
	var raised *pgconn.PgError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &raised):
		return raisedProblem(raised)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, new(*pgconn.ConnectError)):
		return unavailable(err)
	}
	return nil
}

func unavailable(err error) *Problem {
	return &Problem{Kind: Unavailable, Message: "the database cannot be used at the moment", Fix: "Try again in a few seconds.", cause: err}
}

// raisedProblem maps the SQLSTATEs that functions and triggers of the schema raise on purpose. The
// same states without their mark (a constraint name, a hint) are failures.
func raisedProblem(raised *pgconn.PgError) *Problem {
	p := &Problem{Message: raised.Message, Fix: raised.Hint, cause: raised}
	switch raised.Code {
	case pgerrcode.InvalidParameterValue, pgerrcode.CardinalityViolation:
		p.Kind = Invalid
	case pgerrcode.CharacterNotInRepertoire, pgerrcode.UntranslatableCharacter:
		p.Kind, p.Message, p.Fix = Invalid, "the input contains characters that are not valid text", "Enter it as UTF-8 without control characters."
	case pgerrcode.NoDataFound:
		p.Kind = NotFound
	case pgerrcode.ObjectNotInPrerequisiteState:
		p.Kind = Conflict
	case pgerrcode.UniqueViolation:
		if raised.ConstraintName != "" {
			return nil
		}
		p.Kind = Conflict
	case pgerrcode.CheckViolation, pgerrcode.SerializationFailure:
		if raised.Hint == "" {
			return nil
		}
		p.Kind = Conflict
	case limitReached:
		p.Kind = Forbidden
	case pgerrcode.LockNotAvailable:
		return &Problem{
			Kind: Unavailable, Message: "another transaction holds the rows that this action changes", Fix: "Try again in a few seconds.", cause: raised,
		}
	default:
		// Operator intervention and insufficient resources.
		if class := raised.Code[:2]; class == "57" || class == "53" {
			return unavailable(raised)
		}
		return nil
	}
	return p
}
