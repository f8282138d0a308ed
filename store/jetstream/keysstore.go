package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// codeSealed is the server's word that nothing goes into a stream, or out, any more.
const codeSealed = 10109

// Store implements [privacy.Keys].
func (k *Keys) Store(ctx context.Context, r privacy.Record) (uint64, error) {
	s, err := k.newStoring(r)
	if err == nil {
		err = k.firmly(ctx, s.try)
	}
	switch {
	case err == nil:
		return s.stored, nil
	case s != nil && (s.stored > 0 || s.open > 0) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnknown):
		// The cause is text only: it may say that nothing was stored.
		err = fmt.Errorf("%w: %s", store.ErrUnknown, err.Error())
	}
	return 0, fmt.Errorf("store key: %w", err)
}

// storing is one Store under way: the same message sent until the answer is definite.
type storing struct {
	keys     *Keys
	token    string
	expected uint64
	data     []byte
	copying  bool // into an epoch that is nobody's yet

	epoch  *keysEpoch // that was tried last
	open   int        // publishes whose fate is not known
	busy   int        // how often another write was in progress
	shorts int        // how often the record was found to be older than expected
	stored uint64     // where it is
}

func (k *Keys) newStoring(r privacy.Record) (*storing, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	token, err := store.EncodeToken(r.Subject)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if most := min(maxKeyRecord, int(k.cfg.Conn.MaxPayload())-maxHeaderBytes); len(data) > most {
		return nil, &store.TooLargeError{What: "key record", Size: len(data), Limit: most}
	}
	return &storing{keys: k, token: token, expected: r.Revision, data: data}, nil
}

// try sends the record once. An error that is not final says that it is worth trying
// again.
func (s *storing) try(ctx context.Context, e *keysEpoch) error {
	if s.stored > 0 && e == s.epoch {
		return s.confirm(ctx, e)
	}
	if s.epoch != nil && s.epoch.number != e.number && (s.open > 0 || s.stored > 0) {
		return fmt.Errorf("%w: the keys were moved meanwhile", store.ErrUnknown)
	}
	s.epoch = e
	m := &nats.Msg{
		Subject: e.records + s.token, Data: s.data, Header: nats.Header{expectedLastSubject: {strconv.FormatUint(s.expected, 10)}},
	}
	before := s.keys.cfg.Conn.LastError()
	s.keys.cfg.Changing()
	answer, err := s.keys.publish(ctx, m)
	if errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	if err != nil {
		if got := s.keys.cfg.Conn.LastError(); got != before && s.forbidden(got, e) { //nolint:errorlint // whether it is a new one, not of which kind
			return fmt.Errorf("%w: %w", store.ErrRefused, got)
		}
	}
	s.open++
	if err != nil {
		return err
	}
	return s.hear(ctx, e, readAnswer(answer))
}

// forbidden reports whether err is the server's word that this connection may not publish a
// record, this or another: of several that are sent side by side only the last is heard of, and
// who may not write one may write none.
func (s *storing) forbidden(err error, e *keysEpoch) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+e.records)
}

func (s *storing) hear(ctx context.Context, e *keysEpoch, got answer) error {
	if got.verdict != lost {
		s.open--
	}
	var api *apiError
	switch errors.As(got.reason, &api); {
	case got.verdict == stored:
		s.stored = got.sequence
		return s.confirm(ctx, e)
	case got.verdict == moved:
		return s.settle(ctx, e)
	case got.verdict == refused && api != nil && api.ErrCode == codeSealed:
		return errSealed
	case got.verdict == refused && api != nil && api.ErrCode == codeTooLarge:
		return fmt.Errorf("%w: %w", store.ErrTooLarge, got.reason)
	case got.verdict == busy:
		if s.busy++; s.busy > busyTries {
			return s.settle(ctx, e)
		}
	}
	return got.reason
}

// confirm waits until what is stored is durable, and makes sure that it was stored
// before the stream was sealed: what came later might not be copied.
func (s *storing) confirm(ctx context.Context, e *keysEpoch) error {
	e.durable.see(s.stored)
	if s.copying {
		return nil
	}
	if err := e.durable.wait(ctx, s.stored); err != nil {
		return err
	}
	info, err := s.keys.info(ctx, e, nil)
	if gone(err) || err == nil && info.Config.Sealed {
		return fmt.Errorf("%w: the keys are being moved", store.ErrUnknown)
	}
	return err
}

// settle finds out what has followed the expectation: this very record, from an earlier
// try, or another. Nil says that it is this one; an error that is not final, that it
// cannot be told yet.
func (s *storing) settle(ctx context.Context, e *keysEpoch) error {
	last, err := s.keys.fetch(ctx, e, lastOn(e.records+s.token))
	if errors.Is(err, errNone) {
		last, err = &message{}, nil
	}
	switch {
	case err != nil:
		return err
	case last.sequence == s.expected:
		return fmt.Errorf("the leader does not know yet what another knew")
	case last.sequence < s.expected:
		return s.short(e, last)
	}
	next := last
	if !last.attested || last.before != s.expected {
		if next, err = s.keys.fetch(ctx, e, nextOn(e.records+s.token, s.expected+1)); err != nil {
			return fmt.Errorf("look for what followed: %s", err.Error())
		}
	}
	if bytes.Equal(next.data, s.data) {
		s.stored = next.sequence
		return s.confirm(ctx, e)
	}
	if s.open > 0 && (!next.attested || next.before != s.expected) { // its own may be there no more
		return fmt.Errorf("%w: what followed revision %d was erased", store.ErrUnknown, s.expected)
	}
	return s.conflict(last)
}

// short judges a record that is older than expected. A deposed leader would say so
// too, so a cluster is asked again.
func (s *storing) short(e *keysEpoch, last *message) error {
	s.shorts++
	if s.open > 0 || e.replicas > 1 && s.shorts <= aheadTries {
		return fmt.Errorf("the record has revision %d, expected %d", last.sequence, s.expected)
	}
	return s.conflict(last)
}

func (s *storing) conflict(last *message) error {
	return fmt.Errorf("%w: the record has revision %d, expected %d", store.ErrConflict, last.sequence, s.expected)
}
