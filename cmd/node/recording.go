package node

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/ledger"
)

// scribe writes down what a command does: a node, or else the log itself.
type scribe func(ctx context.Context, a ledger.Act) error

// recorded does something between two entries of the audit log. Without the first one nothing is
// done. If the second one cannot be written, that is said, and what was done stays done.
func (s *Session) recorded(ctx context.Context, write scribe, action, what, why string, do func() error) error {
	a := ledger.Act{ID: uuid.Must(uuid.NewV7()).String(), Action: action, What: what, Why: why, By: s.by(""), At: time.Now(), Outcome: ledger.Begun}
	if err := s.record(ctx, write, a); err != nil {
		return &Failure{
			Code: codeNoAudit, Exit: exitUnavailable, What: "nothing was done, for it cannot be written into the audit log", Why: err.Error(),
			Fix: "see whether a node runs, or whether this user may append to the log", Err: err,
		}
	}
	err := do()
	a.Outcome, a.At = ledger.Done, time.Now()
	if err != nil {
		a.Outcome = ledger.Failed + string(explain(ctx, s, err).Code)
	}
	if unsaid := s.record(context.WithoutCancel(ctx), write, a); unsaid != nil {
		s.Logger().Warn("the outcome is not in the audit log", "action", action, "outcome", a.Outcome, "err", unsaid)
	}
	return err
}

// recordedWish is recorded for what operators wish of the cluster.
func (s *Session) recordedWish(ctx context.Context, action, what string, do func() error) error {
	write, err := s.throughNode(ctx)
	if err != nil {
		return err
	}
	return s.recorded(ctx, write, action, what, "", do)
}

func (s *Session) record(ctx context.Context, write scribe, a ledger.Act) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout())
	defer cancel()
	return write(ctx, a)
}

// throughNode has a node write, so that whoever operates need not be allowed to append to the log. Without
// one it is tried all the same.
func (s *Session) throughNode(ctx context.Context) (scribe, error) {
	client, err := s.Client(ctx)
	if err != nil {
		return nil, err
	}
	var direct scribe
	return func(ctx context.Context, a ledger.Act) error {
		if direct == nil {
			err := s.throughClient(ctx, client, a)
			if !errors.Is(err, nats.ErrNoResponders) {
				return err
			}
			log, err := s.toRecord(ctx)
			if err != nil {
				return err
			}
			direct = ledger.New(log).Record
		}
		return direct(ctx, a)
	}, nil
}

// throughClient asks again under the same id if there was no answer.
func (s *Session) throughClient(ctx context.Context, client *gateway.Client, a ledger.Act) error {
	err := client.Record(ctx, a)
	if errors.Is(err, store.ErrUnknown) && ctx.Err() == nil {
		err = client.Record(ctx, a)
	}
	return err
}

// toRecord opens the log of the namespace to append to it.
func (s *Session) toRecord(ctx context.Context) (*jetstream.Log, error) {
	config, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	return jetstream.Open(ctx, config)
}
