package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

const (
	// firstAckWait is how long the first publish waits for its acknowledgement;
	// each further one waits twice as long, up to maxAckWait. Longer than any
	// healthy disk takes: sending again costs only time, but costs it a server
	// that is late already. Not longer than that, for what is sent while a leader
	// is elected is lost, and an election takes 4 to 9 seconds.
	firstAckWait = 2 * time.Second
	maxAckWait   = 3 * time.Second
	// busyTries is how often a server may say that another write is in progress
	// before the log looks whether that write was an earlier try of this one.
	busyTries = 3
)

// Append stores c as [store.Log] says. Two things are this log's own:
//
//   - An unknown outcome matches [store.ErrUnavailable] as well if this call
//     stored nothing and left nothing on its way. It speaks of this call only:
//     what an earlier one with the same commit left behind may still arrive.
//   - With a barrier the outcome is unknown, too, when the commit was stored and
//     the barrier failed; and with several log streams when ctx ended before its
//     place in the total order was known. The identical commit, sent again, then
//     waits for that and no more.
//   - That the log holds a commit at the expected sequence is checked; that it
//     is the one whose version and hash the commit names is found when it is read.
func (l *Log) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	m, err := l.message(c)
	if err != nil {
		return store.Head{}, &store.RefusedError{Stream: c.Stream, Reason: err}
	}
	stream := l.names.streamOf(c.Stream)
	a := &appending{log: l, stream: &l.names.streams[stream], commit: c, message: m, call: l.inbox.open()}
	defer l.inbox.close(a.call)
	m.Reply = a.call.reply
	local, err := a.run(ctx)
	if err != nil {
		return store.Head{}, err
	}
	place, err := l.placeStored(ctx, c, spot{stream, m.Subject, local})
	if err != nil {
		return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: fmt.Errorf("it is stored; wait for its place in the total order: %w", err)}
	}
	if err := l.durable.wait(ctx, place); err != nil {
		return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: fmt.Errorf("wait for the disk: %w", err)}
	}
	c.Sequence, c.Local, c.Hash = place, local, store.HashOf(m.Data)
	return c.Head(), nil
}

// placeStored returns the place of a commit that is stored. The error does not
// match [store.ErrUnavailable], which would say that nothing is.
func (l *Log) placeStored(ctx context.Context, c *store.Commit, s spot) (uint64, error) {
	place, err := l.place(ctx, s)
	if errors.Is(err, errForgotten) {
		token := s.subject[strings.LastIndexByte(s.subject, '.')+1:]
		place, err = l.seek(ctx, c, token, s.local)
	}
	if errors.Is(err, store.ErrUnavailable) {
		err = errors.New(err.Error()) // said, and no longer matched
	}
	return place, err
}

// message returns what is published for c: one message with one header, the
// expectation. There is no message id: whether the log holds the commit is
// answered by its content, for ever, and not by a window.
func (l *Log) message(c *store.Commit) (*nats.Msg, error) {
	data, err := store.EncodeCommit(l.cfg.Codec, c)
	if err != nil {
		return nil, err
	}
	if limit := int(l.cfg.Conn.MaxPayload()) - maxHeaderBytes; len(data) > limit {
		return nil, &store.TooLargeError{What: "commit of " + c.Stream.String(), Size: len(data), Limit: limit}
	}
	token, err := store.EncodeToken(c.Stream.ID)
	if err != nil {
		return nil, err
	}
	return &nats.Msg{
		Subject: l.names.subject(c.Stream, token),
		Header:  nats.Header{expectedLastSubject: {strconv.FormatUint(c.After.Sequence, 10)}},
		Data:    data,
	}, nil
}

// appending is one append under way: the same message sent until the answer is
// definite.
type appending struct {
	log     *Log
	stream  *kept
	commit  *store.Commit
	message *nats.Msg
	call    *call
	// open counts the publishes whose fate is not known: they may be stored now,
	// or later. While there is one, no refusal of another is the last word.
	open   int
	shorts int   // how often the stream was found to end before the expectation
	reason error // why the last try did not end it
}

// run returns the sequence at which the log stream has the commit.
func (a *appending) run(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, a.giveUp(context.Cause(ctx))
	}
	for try, busyOnes := 0, 0; ; try++ {
		got := a.try(ctx, min(a.log.ackWait<<min(try, 8), maxAckWait))
		if got.verdict != stored {
			got.sequence = a.late()
		}
		if got.sequence > 0 {
			return got.sequence, nil
		}
		if got.verdict == busy {
			busyOnes++
		}
		if got.verdict == refused && a.open <= 0 {
			return 0, a.refused(got.reason)
		}
		if ctx.Err() == nil {
			a.reason = got.reason
		}
		a.log.cfg.Logger.Debug("append not settled", "type", a.commit.Stream.Type, "version", a.commit.After.Version, "try", try, "err", got.reason)
		if got.verdict == moved || got.verdict == refused || busyOnes > busyTries {
			if sequence, err := a.settle(ctx); sequence > 0 || err != nil {
				return sequence, err
			}
		}
		if err := a.log.link.err(); err != nil {
			return 0, a.giveUp(err)
		}
		if err := pause(ctx, try); err != nil {
			return 0, a.giveUp(err)
		}
	}
}

// try sends the message once and returns what came back first. An answer to an
// earlier try is as good: the message is the same.
func (a *appending) try(ctx context.Context, wait time.Duration) answer {
	conn := a.log.cfg.Conn
	if !conn.IsConnected() {
		// Not left to the connection's own buffer: nothing is in flight that
		// was not sent knowingly.
		return answer{verdict: busy, reason: nats.ErrDisconnected}
	}
	if sequence := a.late(); sequence > 0 {
		return answer{verdict: stored, sequence: sequence}
	}
	before := conn.LastError()
	if err := a.log.send(a.message); err != nil {
		return a.unsent(err)
	}
	a.open++
	m, err := a.call.wait(ctx, wait)
	if err == nil {
		return a.hear(m)
	}
	if got := conn.LastError(); got != before && forbids(got, a.message) { //nolint:errorlint // whether it is a new one, not of which kind
		a.open--
		return answer{verdict: refused, reason: got}
	}
	return answer{reason: err}
}

// hear takes an answer, which settles the fate of one publish.
func (a *appending) hear(m *nats.Msg) answer {
	got := readAnswer(m)
	if got.verdict != lost {
		a.open--
	}
	return got
}

// late takes the answers that came after their time, and returns the sequence
// if one says that the commit is stored.
func (a *appending) late() uint64 {
	for m := a.call.late(); m != nil; m = a.call.late() {
		if got := a.hear(m); got.verdict == stored {
			return got.sequence
		}
	}
	return 0
}

// unsent judges a message that the connection did not take.
func (a *appending) unsent(err error) answer {
	if errors.Is(err, nats.ErrMaxPayload) {
		return answer{verdict: refused, reason: &store.TooLargeError{
			What: "commit of " + a.commit.Stream.String(), Size: len(a.message.Data), Limit: int(a.log.cfg.Conn.MaxPayload()),
		}}
	}
	return answer{verdict: busy, reason: err}
}

// forbids reports whether err is the server's word that this connection may not
// publish on the subject of m. The server sends it beside the reply, to the
// connection, so all there is to tell whose it was is the subject in its text.
func forbids(err error, m *nats.Msg) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+m.Subject+`"`)
}

func (a *appending) refused(reason error) error {
	var api *apiError
	if errors.As(reason, &api) && api.ErrCode == codeTooLarge {
		reason = fmt.Errorf("%w: %w", store.ErrTooLarge, reason)
	}
	return &store.RefusedError{Stream: a.commit.Stream, Reason: reason}
}

// giveUp ends an append whose outcome is not definite. If no try of this call
// can still be on its way the error says so by matching [store.ErrUnavailable];
// but an earlier call with the same commit may have left one, so that even then
// the outcome is unknown, and not a refusal.
func (a *appending) giveUp(cause error) error {
	if a.reason != nil && !errors.Is(cause, a.reason) {
		cause = fmt.Errorf("%w; last: %w", cause, a.reason)
	}
	if a.open <= 0 {
		cause = unavailable(cause)
	}
	return &store.UnknownError{Stream: a.commit.Stream, Reason: cause}
}
