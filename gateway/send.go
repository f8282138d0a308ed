package gateway

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Request is a command for one aggregate instance.
type Request struct {
	Stream store.StreamID
	// Name is the command's wire name.
	Name string
	// Body is the encoded command; empty means all fields at their zero values.
	Body []byte
	// Codec is how Body is encoded. Nil: the client's.
	Codec store.Codec
	// Schema is the version of the command's schema that Body is written in. 0: the
	// last one that the node knows.
	Schema int
	Options
}

// Options are what a command may carry beside its body.
type Options struct {
	// ID makes the command happen at most once, however often it is sent. Empty:
	// one is made up for this call.
	ID string
	// Expected is the version that the sender saw, if HasExpected.
	Expected    uint64
	HasExpected bool
	// OnConflict says what to do when the stream is not at Expected.
	OnConflict actor.Policy
	// CorrelationID, CausationID and Traceparent are kept with the events.
	CorrelationID string
	CausationID   string
	Traceparent   string
	// Corrects names the event that the command makes good, as
	// [store.ParseCorrected] reads it; it is kept with the events.
	Corrects string
}

// Send sends a command and returns what it did. While nobody responds, an
// answer says that the command may be sent again, or an answer is overdue, it
// sends the same command with the same id again, until ctx ends.
//
// The error says what is certain. It matches [store.ErrUnknown] if the command
// may have been, or may still be, carried out. After every other error it is
// certain that it was not: the server said so, or nobody could try
// ([store.ErrUnavailable]).
func (c *Client) Send(ctx context.Context, r Request) (actor.Result, error) {
	answer, err := c.send(ctx, r, nil)
	return answer.result(), err
}

// send is Send, with views that the answer waits for.
func (c *Client) send(ctx context.Context, r Request, views []string) (commandResponse, error) {
	m, err := c.commandMessage(r)
	if err != nil {
		return commandResponse{}, err
	}
	if len(views) > 0 {
		m.Header[HeaderWaitViews] = []string{strings.Join(views, ",")}
	}
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	s := sending{client: c, message: m, wait: c.config.ResendAfter, pause: c.config.MinBackoff}
	s.direct, s.detour = c.ways(ctx, r.Stream, m.Subject)
	m.Reply, s.arrived = c.inbox.open()
	defer c.inbox.close(m.Reply)
	c.authorize(ctx, m.Header)
	s.message.Subject = s.direct
	for {
		answer, failure := s.try(ctx)
		if failure == nil {
			return answer, nil
		}
		if !failure.Retryable || !s.heed(ctx, failure) || !s.turn(failure) && !s.rest(ctx) {
			if answer, failure = s.conclude(ctx, failure); failure == nil {
				return answer, nil
			}
			return commandResponse{}, failure
		}
	}
}

// commandMessage checks what the server would refuse, and what the connection
// would silently change: a line break in a header.
func (c *Client) commandMessage(r Request) (*nats.Msg, error) {
	token, err := store.EncodeToken(r.Stream.ID)
	if err != nil {
		return nil, err
	}
	if err := store.ValidateName("aggregate type", r.Stream.Type); err != nil {
		return nil, err
	}
	if err := store.ValidateName("command", r.Name); err != nil {
		return nil, err
	}
	header, err := r.header()
	if err != nil {
		return nil, err
	}
	codec := r.Codec
	if codec == nil {
		codec = c.config.Codec
	}
	header[HeaderContentType] = headerOf(codec)[HeaderContentType]
	if r.Schema != 0 {
		text := strconv.Itoa(r.Schema)
		if _, err := ParseSchema(text); err != nil {
			return nil, err
		}
		header[HeaderSchema] = []string{text}
	}
	return &nats.Msg{Subject: c.subjects.command(r.Stream.Type, token, r.Name), Header: header, Data: r.Body}, nil
}

func (o *Options) header() (nats.Header, error) {
	id := o.ID
	if id == "" {
		id = uuid.Must(uuid.NewV7()).String()
	}
	h := nats.Header{}
	for _, t := range [...]struct {
		name, text string
		limit      int
	}{
		{HeaderCommandID, id, store.MaxCommandIDBytes},
		{HeaderCorrelationID, o.CorrelationID, store.MaxMetadataBytes},
		{HeaderCausationID, o.CausationID, store.MaxMetadataBytes},
		{HeaderTraceparent, o.Traceparent, store.MaxMetadataBytes},
		{HeaderCorrects, o.Corrects, store.MaxMetadataBytes},
	} {
		if t.text == "" {
			continue
		}
		if err := checkText(t.name, t.text, t.limit); err != nil {
			return nil, err
		}
		h[t.name] = []string{t.text}
	}
	if o.HasExpected {
		h[HeaderExpectedVersion] = []string{strconv.FormatUint(o.Expected, 10)}
	}
	if o.OnConflict < 0 || int(o.OnConflict) >= len(policyNames) {
		return nil, &store.InvalidError{What: "conflict policy", Value: strconv.Itoa(int(o.OnConflict)), Reason: "no such policy"}
	}
	if o.OnConflict != actor.Fail {
		h[HeaderOnConflict] = []string{policyNames[o.OnConflict]}
	}
	return h, nil
}

// sending is one command on its way.
type sending struct {
	client  *Client
	message *nats.Msg
	direct  string           // the subject of the partition's owner
	detour  string           // that of any gateway; the same if the partitions are not known
	arrived <-chan *nats.Msg // the answers to all attempts
	wait    time.Duration    // for the next answer
	pause   time.Duration    // before the next attempt, at most
	// open is how many attempts have had no answer: each may have been, or may
	// yet be, carried out.
	open int
	// unknown says that an answer was that nobody knows.
	unknown bool
}

// maybe reports whether an attempt may have been, or may yet be, carried out.
func (s *sending) maybe() bool { return s.unknown || s.open > 0 }

// try makes one attempt.
func (s *sending) try(ctx context.Context) (commandResponse, *Error) {
	conn := s.client.config.Conn
	if ctx.Err() != nil || conn.IsClosed() {
		cause := context.Cause(ctx)
		if cause == nil {
			cause = nats.ErrConnectionClosed
		}
		return commandResponse{}, inferred(CodeUnavailable, cause, "%s was not sent", s.message.Subject).final()
	}
	attempt, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	s.message.Header[HeaderDeadline] = []string{patience(ctx)}
	if err := conn.PublishMsg(s.message); err != nil {
		return commandResponse{}, s.unsent(err)
	}
	s.open++
	return s.next(attempt)
}

// next waits for an answer to any of the attempts. Each attempt has one at most,
// so as many answers as attempts leave none open.
func (s *sending) next(ctx context.Context) (commandResponse, *Error) {
	m, err := next(ctx, s.arrived)
	if err == nil || errors.Is(err, nats.ErrNoResponders) {
		s.open--
	}
	if err != nil {
		return commandResponse{}, s.unanswered(err)
	}
	return s.read(m)
}

// unsent says what follows from an attempt that the connection did not take.
func (s *sending) unsent(err error) *Error {
	subject := s.message.Subject
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return inferred(CodeUnavailable, err, "%s reached nobody", subject)
	case errors.Is(err, nats.ErrMaxPayload):
		return inferred(CodeTooLarge, err, "%s was not sent", subject)
	case errors.Is(err, nats.ErrHeadersNotSupported), errors.Is(err, nats.ErrConnectionDraining):
		return inferred(CodeUnavailable, err, "%s was not sent", subject).final()
	}
	s.unknown = true // perhaps it was
	return inferred(CodeUnknownOutcome, err, "whether %s was sent is not known", subject)
}

// unanswered says what follows from an attempt that got no answer in time, or
// that nobody was there to get.
func (s *sending) unanswered(err error) *Error {
	subject := s.message.Subject
	if errors.Is(err, nats.ErrNoResponders) {
		return inferred(CodeUnavailable, err, "%s reached nobody", subject)
	}
	s.wait *= 2
	return inferred(CodeUnknownOutcome, err, "%s got no answer", subject)
}

func (s *sending) read(m *nats.Msg) (commandResponse, *Error) {
	if e := readError(m); e != nil {
		_, known := ruleFor(e.Code, e.Status)
		s.unknown = s.unknown || e.Code == CodeUnknownOutcome || !known && e.Status >= 500
		return commandResponse{}, e
	}
	var r commandResponse
	if err := decodeReply(m, &r); err != nil {
		s.unknown = true
		return commandResponse{}, inferred(CodeUnknownOutcome, err, "the answer to %s cannot be read", s.message.Subject).final()
	}
	return r, nil
}

// turn takes the other way after an attempt that got no answer: an owner that
// is gone is known to the gateways, and a gateway that is gone to nobody. After
// an answer the way is the direct one. It reports whether the next attempt is
// worth making at once: nobody was there on the direct way, and with a gateway
// the command can wait for an owner.
func (s *sending) turn(failure *Error) (atOnce bool) {
	was := s.message.Subject
	s.message.Subject = s.direct
	if failure.Inferred && was == s.direct {
		s.message.Subject = s.detour
	}
	return s.detour != s.direct && was == s.direct && errors.Is(failure, nats.ErrNoResponders)
}

// heed has the next pause be as long as an answer says; false: there is no time for
// that.
func (s *sending) heed(ctx context.Context, failure *Error) (can bool) {
	s.pause, can = failure.pause(ctx, s.pause)
	return can
}

// worthwhile is the least time for an attempt after a definite answer: one that
// the end of the time cuts off would turn a certain no into an unknown outcome.
const worthwhile = 20 * time.Millisecond

// rest pauses before the next attempt; it reports whether there is time for
// one.
func (s *sending) rest(ctx context.Context) bool {
	pause := s.pause
	s.pause = min(2*s.pause, s.client.config.MaxBackoff)
	deadline, _ := ctx.Deadline()
	return rest(ctx, pause) && (s.maybe() || time.Until(deadline) > worthwhile)
}

// conclude turns the last failure into what is certain after all attempts.
// While one of them has no answer no failure is: it may still wait in a node
// that was stopped, behind the one that was refused, and be decided on a later
// state. So the answers that are still out are waited for, as long as for the
// last attempt's: a success among them
// is the command's, because the id makes all attempts one command, and if all are
// failures, the last word stands.
func (s *sending) conclude(ctx context.Context, last *Error) (commandResponse, *Error) {
	late, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	for s.open > 0 && !s.unknown && late.Err() == nil {
		answer, failure := s.next(late)
		if failure == nil {
			return answer, nil
		}
		if late.Err() == nil && !failure.Retryable {
			last = failure
		}
	}
	if !s.maybe() {
		return commandResponse{}, last
	}
	// The last failure is told and not wrapped: it must not match.
	return commandResponse{}, inferred(CodeUnknownOutcome, context.Cause(ctx), "whether %s was carried out is not known: %s", s.message.Subject, last.Description)
}
