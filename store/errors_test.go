package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	id := store.StreamID{Type: "account", ID: "1"}
	tests := []struct {
		err  error
		is   []error
		says string
	}{
		{&store.ConflictError{Stream: id, Expected: 3, Actual: 5}, []error{store.ErrConflict}, "account/1 is at version 5, expected 3"},
		{&store.RefusedError{Stream: id, Reason: &store.TooLargeError{What: "commit", Size: 2, Limit: 1}}, []error{store.ErrRefused, store.ErrTooLarge}, "commit too large: 2, limit 1"},
		{&store.TooLargeError{What: "depth", Limit: 32}, []error{store.ErrTooLarge}, "over the limit of 32"},
		{&store.UnknownError{Stream: id, Reason: context.Canceled}, []error{store.ErrUnknown, context.Canceled}, "outcome unknown"},
		{&store.InvalidError{What: "id", Value: strings.Repeat("x", 100), Reason: "why"}, []error{store.ErrInvalid}, "…"},
		{&store.DamageError{Stream: id, Version: 4, Sequence: 9, Reason: "why"}, []error{store.ErrDamaged}, "account/1 is damaged from version 4 on (sequence 9)"},
		{&store.AheadError{What: "view", Has: 9, Log: 4}, []error{store.ErrAhead}, "view is at position 9, but the log ends at 4"},
		{&store.UnknownTypeError{What: "event", Name: "moved", Schema: 2}, []error{store.ErrUnknownType}, `"moved" in schema version 2`},
		{&store.UnknownTypeError{What: "command", Name: "move"}, []error{store.ErrUnknownType}, `unknown command type "move"`},
	}
	all := []error{
		store.ErrConflict, store.ErrRefused, store.ErrUnknown, store.ErrUnavailable, store.ErrInvalid, store.ErrTooLarge,
		store.ErrDamaged, store.ErrAhead, store.ErrUnknownType, store.ErrNotFound,
	}
	for _, test := range tests {
		matched := 0
		for _, sentinel := range all {
			if errors.Is(test.err, sentinel) {
				matched++
			}
		}
		for _, want := range test.is {
			if !errors.Is(test.err, want) {
				t.Errorf("%v is not %q", test.err, want)
			}
			if errors.Is(want, context.Canceled) {
				matched++
			}
		}
		if matched != len(test.is) {
			t.Errorf("%v is %d kinds of error, want %d", test.err, matched, len(test.is))
		}
		if !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("%q does not say %q", test.err, test.says)
		}
	}
}
