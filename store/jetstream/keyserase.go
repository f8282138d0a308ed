package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// Erase implements [privacy.Keys]: the server overwrites each older revision in the
// stream's files, on every server that keeps them, and so is done with it there. Where
// the stream has replicas their Raft logs may hold it until they are compacted:
// [Keys.RotateKeys] removes these, too. It returns when the leader has done it.
func (k *Keys) Erase(ctx context.Context, subject string, below uint64) error {
	token, err := store.EncodeToken(subject)
	if err == nil {
		err = k.firmly(ctx, func(ctx context.Context, e *keysEpoch) error { return k.erase(ctx, e, e.records+token, below) })
	}
	if err != nil {
		return fmt.Errorf("erase key: %w", err)
	}
	return nil
}

func (k *Keys) erase(ctx context.Context, e *keysEpoch, subject string, below uint64) error {
	last, err := k.fetch(ctx, e, lastOn(subject))
	if errors.Is(err, errNone) {
		return nil
	}
	if err != nil {
		return err
	}
	for before := uint64(0); ; {
		oldest, err := k.fetch(ctx, e, nextOn(subject, 1))
		if err != nil && !errors.Is(err, errNone) {
			return err
		}
		if err != nil || oldest.sequence >= min(below, last.sequence) {
			break
		}
		if oldest.sequence == before {
			return fmt.Errorf("revision %d is there still", before)
		}
		before = oldest.sequence
		k.cfg.Changing()
		if err := overwrite(ctx, k.cfg.Conn, e.delete, before); err != nil {
			return err
		}
	}
	if k.cfg.Barrier == nil {
		return nil
	}
	return k.cfg.Barrier(ctx) // also where there was nothing to do: an earlier call may have ended before
}

// overwrite has one message overwritten, by a request to delete of its stream. That it is gone already is no error.
func overwrite(ctx context.Context, conn *nats.Conn, request string, sequence uint64) error {
	answer, err := conn.RequestWithContext(ctx, request, fmt.Appendf(nil, `{"seq":%d,"no_erase":false}`, sequence))
	if err != nil {
		return err
	}
	var body struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &body); err != nil {
		return fmt.Errorf("unreadable answer: %w", err)
	}
	if body.Error != nil && body.Error.ErrCode != codeSequenceNotFound {
		return body.Error
	}
	return nil
}

// codeSequenceNotFound is the server's word that a message to delete is not there.
const codeSequenceNotFound = 10043
