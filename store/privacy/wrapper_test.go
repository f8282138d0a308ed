package privacy_test

import (
	"context"
	"errors"

	"github.com/annals-go/annals/store"
)

// brokenWrapper is one that cannot be asked.
type brokenWrapper struct{}

var errGone = errors.New("gone")

func (brokenWrapper) Current() string { return "gone" }

func (brokenWrapper) Wrap(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, store.ErrUnavailable
}

func (brokenWrapper) Unwrap(context.Context, string, []byte, []byte) ([]byte, error) {
	return nil, errGone
}
