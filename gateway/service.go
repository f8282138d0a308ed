package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nuid"
)

// service is a NATS micro service: it shows itself under $SRV, with the types
// of package micro, and spreads its requests over a queue group. It differs
// from [micro.Service] in what answers that come later than the handler
// returns need: they count in the statistics, and a drain can be waited for.
type service struct {
	conn      *nats.Conn
	namespace string
	info      micro.Info
	endpoints []*endpoint
	discovery []*nats.Subscription
	started   time.Time
}

// endpoint is one kind of request to a service. handle must not block.
type endpoint struct {
	info   micro.EndpointInfo
	handle func(*endpoint, *nats.Msg)
	prefix string // what stands before the path in its subjects
	passed bool   // its requests come from other nodes
	parts  bool   // it is subscribed to in parts, and not by the service
	subs   []*nats.Subscription

	mu    sync.Mutex
	stats micro.EndpointStats
}

// Pending limits of an endpoint's subscription, beyond which the connection
// drops messages. Handlers do not block, so this many only ever wait when the
// process is starved of CPU.
const (
	maxPendingMessages = 64 << 10
	maxPendingBytes    = 32 << 20
)

func newService(c Config, name, does string) *service {
	return &service{
		conn:      c.Conn,
		namespace: c.Namespace,
		info: micro.Info{
			ServiceIdentity: micro.ServiceIdentity{
				Name: name, ID: nuid.Next(), Version: c.Version,
				Metadata: map[string]string{"namespace": c.Namespace, "node": c.Node},
			},
			Type:        micro.InfoResponseType,
			Description: does + " of namespace " + c.Namespace,
		},
	}
}

func (s *service) add(name, subject string, metadata map[string]string, handle func(*endpoint, *nats.Msg)) *endpoint {
	e := &endpoint{
		info:   micro.EndpointInfo{Name: name, Subject: subject, QueueGroup: micro.DefaultQueueGroup, Metadata: metadata},
		handle: handle,
		prefix: s.namespace + ".",
	}
	s.endpoints = append(s.endpoints, e)
	return e
}

// start subscribes; the server knows of it after the next flush.
func (s *service) start() error {
	s.started = time.Now().UTC()
	for _, e := range s.endpoints {
		s.info.Endpoints = append(s.info.Endpoints, e.info)
		e.stats.Name, e.stats.Subject, e.stats.QueueGroup = e.info.Name, e.info.Subject, e.info.QueueGroup
		if e.parts {
			continue
		}
		for _, subject := range e.subjects(e.info.Subject) {
			sub, err := e.subscribe(s.conn, subject)
			if err != nil {
				return err
			}
			e.subs = append(e.subs, sub)
		}
	}
	return s.discover()
}

// subjects are those of a subject's requests: as it is, and with the asker's name.
func (e *endpoint) subjects(subject string) []string {
	if e.passed {
		return []string{subject}
	}
	s := subjects{namespace: strings.TrimSuffix(e.prefix, ".")}
	return []string{subject, s.asAny(subject)}
}

// subscribe has the endpoint handle what comes for a subject.
func (e *endpoint) subscribe(conn *nats.Conn, subject string) (*nats.Subscription, error) {
	sub, err := conn.QueueSubscribe(subject, e.info.QueueGroup, func(m *nats.Msg) { e.handle(e, m) })
	if err == nil {
		err = sub.SetPendingLimits(maxPendingMessages, maxPendingBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", subject, err)
	}
	return sub, nil
}

// discover answers $SRV.PING, INFO and STATS, for all services, for those of
// this name, and for this one alone.
func (s *service) discover() error {
	for verb, body := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info },
		micro.StatsVerb: func() any { return s.statistics() },
	} {
		for _, who := range [][2]string{{"", ""}, {s.info.Name, ""}, {s.info.Name, s.info.ID}} {
			subject, err := micro.ControlSubject(verb, who[0], who[1])
			if err != nil {
				return err
			}
			sub, err := s.conn.Subscribe(subject, func(m *nats.Msg) { s.show(m, body()) })
			if err != nil {
				return fmt.Errorf("subscribe %s: %w", subject, err)
			}
			s.discovery = append(s.discovery, sub)
		}
	}
	return nil
}

func (s *service) show(m *nats.Msg, body any) {
	data, err := json.Marshal(body)
	if err == nil && replyIsSafe(s.namespace, m.Reply) {
		_ = m.Respond(data) // whoever is curious asks again
	}
}

// drain stops taking requests and waits until the handlers have had those that
// the server had sent, or until ctx ends.
func (s *service) drain(ctx context.Context) error {
	var subs []*nats.Subscription
	for _, e := range s.endpoints {
		subs = append(subs, e.subs...)
	}
	return drain(ctx, s.info.Name, subs)
}

// drain ends subscriptions and waits until their handlers have had what the
// server had sent.
func drain(ctx context.Context, name string, subs []*nats.Subscription) error {
	var errs []error
	closed := make([]<-chan nats.SubStatus, 0, len(subs))
	for _, sub := range subs {
		closed = append(closed, sub.StatusChanged(nats.SubscriptionClosed))
		if err := sub.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
			errs = append(errs, fmt.Errorf("drain %s: %w", sub.Subject, err))
		}
	}
	for _, c := range closed {
		select {
		case <-c:
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("drain %s: %w", name, context.Cause(ctx)))...)
		}
	}
	return errors.Join(errs...)
}

// hide ends discovery. It comes last, so that a service can be watched while
// it drains.
func (s *service) hide() {
	for _, sub := range s.discovery {
		_ = sub.Unsubscribe() // fails only if the connection is closed, which hides it too
	}
}

func (s *service) statistics() micro.Stats {
	stats := micro.Stats{ServiceIdentity: s.info.ServiceIdentity, Type: micro.StatsResponseType, Started: s.started}
	for _, e := range s.endpoints {
		e.mu.Lock()
		one := e.stats
		e.mu.Unlock()
		if one.NumRequests > 0 {
			one.AverageProcessingTime = one.ProcessingTime / time.Duration(one.NumRequests)
		}
		stats.Endpoints = append(stats.Endpoints, &one)
	}
	return stats
}

// count adds an answered request to the statistics.
func (e *endpoint) count(took time.Duration, failure *Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.NumRequests++
	e.stats.ProcessingTime += took
	if failure != nil {
		e.stats.NumErrors++
		// What went wrong, and not with whom: statistics are for more eyes than answers.
		e.stats.LastError = fmt.Sprintf("%d:%s", failure.Status, failure.Code)
	}
}
