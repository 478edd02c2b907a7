package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/thawline/thaw/internal/when"
)

// inputs are how flags and arguments are read: durations with days and weeks, times as people write
// them, numbers with separators. Each error shows what is accepted.
func inputs() []kong.Option {
	return []kong.Option{
		kong.TypeMapper(reflect.TypeFor[time.Duration](), reads(when.ParseDuration)),
		kong.TypeMapper(reflect.TypeFor[time.Time](), reads(func(text string) (time.Time, error) { return when.Parse(text, time.Now()) })),
		kong.NamedMapper("since", reads(func(text string) (time.Time, error) { return when.ParsePast(text, time.Now()) })),
		kong.NamedMapper("secrets", kong.MapperFunc(readSecrets)),
		kong.KindMapper(reflect.Int, reads(wholeNumber[int])),
		kong.KindMapper(reflect.Int32, reads(wholeNumber[int32])),
		kong.KindMapper(reflect.Int64, reads(wholeNumber[int64])),
	}
}

// reads makes a mapper of a parser.
func reads[T any](parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err
		}
		value, err := parse(text)
		if err != nil {
			return err
		}
		target.Set(reflect.ValueOf(value).Convert(target.Type()))
		return nil
	}
}

// wholeNumber reads 5000, 5,000 and 5_000.
func wholeNumber[N int | int32 | int64](text string) (N, error) {
	digits := strings.NewReplacer(",", "", "_", "").Replace(strings.TrimSpace(text))
	number, err := strconv.ParseInt(digits, 10, reflect.TypeFor[N]().Bits())
	switch {
	case err == nil:
		return N(number), nil
	case strings.Trim(digits, "+-0123456789") == "" && digits != "":
		return 0, fmt.Errorf("%q is too large: use a smaller number", text)
	default:
		return 0, fmt.Errorf("%q is not a whole number: use for example 200 or 5,000", text)
	}
}
