package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// denial is what the servers say to a user who asks for a stream, or for one to be made, and may not: they say so
// beside the answer, which then never comes, so that waiting for it would tell nothing more.
type denial struct{ said chan error } // room for one

func newDenial() *denial { return &denial{said: make(chan error, 1)} }

// note keeps the first such word; all others are passed over.
func (d *denial) note(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `Publish to "$JS.API.STREAM.`) {
		return
	}
	select {
	case d.said <- err:
	default:
	}
}

// unlessDenied does something for as long as nothing is denied. The error then is what the servers said, and matches
// [nats.ErrPermissionViolation].
func (d *denial) unlessDenied(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case err := <-d.said:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	err := do(ctx)
	cancel(nil)
	<-done
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, nats.ErrPermissionViolation) {
		return fmt.Errorf("the NATS server says: %w", cause)
	}
	return err
}
