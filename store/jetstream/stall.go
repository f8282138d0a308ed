package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// sourceSilence is how long a source says nothing before it is taken for
	// dead: its server says every second that it is there.
	sourceSilence = 2500 * time.Millisecond
	// lookEvery is how often the order's leader is asked whether it hears of its
	// sources. One that has never heard of one may be about to, so it is replaced
	// only when it is asked for the second time.
	lookEvery = time.Second
)

// stall replaces the order's leader when it does not hear of a log stream that
// takes appends: when a log stream's leader has died, the order's leader notices
// that after ten to twenty seconds, or thirty, but a new one asks all log streams
// at once, so that it takes less than one. Many logs may look at the same time;
// what they see is the same, and after the first has acted they see a new leader.
type stall struct {
	log *Log

	mu     sync.Mutex
	looked time.Time
	leader string          // when it was looked last
	never  map[string]bool // the log streams that it had never heard of
}

// look is called while an append to the log stream, or a read of it, waits for a
// place for too long. It does nothing if it was called a moment ago.
func (s *stall) look(ctx context.Context, stream int) {
	if s.log.replicas < 2 || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if time.Since(s.looked) < lookEvery {
		return
	}
	s.looked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	leader, sources, err := s.sources(ctx)
	if err != nil || leader == "" {
		return
	}
	name := s.log.names.streams[stream].name
	again := leader == s.leader && s.never[name]
	s.leader, s.never = leader, map[string]bool{}
	dead := false
	for _, source := range sources {
		s.never[source.Name] = source.Active < 0
		dead = dead || source.Name == name && (source.Active > sourceSilence || source.Active < 0 && again)
	}
	if dead {
		s.never = nil
		s.replace(ctx, leader, name)
	}
}

// sourceState is what the order's leader says of a log stream.
type sourceState struct {
	Name string `json:"name"`
	// Active is how long ago it was heard of, negative if never.
	Active time.Duration `json:"active"`
}

func (s *stall) sources(ctx context.Context) (leader string, sources []sourceState, err error) {
	m, err := s.log.request(ctx, s.log.names.order.info, nil)
	if err != nil {
		return "", nil, err
	}
	var body struct {
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
		Sources []sourceState `json:"sources"`
	}
	err = json.Unmarshal(m.Data, &body)
	return body.Cluster.Leader, body.Sources, err
}

func (s *stall) replace(ctx context.Context, leader, source string) {
	err := s.log.stepDown(ctx, &s.log.names.order, "")
	s.log.cfg.Logger.Warn("the leader of the total order does not hear of a log stream and is replaced",
		"leader", leader, "stream", source, "err", err)
}

// stepDown asks a stream's leader to step down, in favour of a server if one is
// named.
func (l *Log) stepDown(ctx context.Context, k *kept, preferred string) error {
	var data []byte
	if preferred != "" {
		data = fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, preferred)
	}
	m, err := l.exchange(ctx, &nats.Msg{Subject: k.stepDown, Data: data})
	if err != nil {
		return err
	}
	var body struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &body); err != nil {
		return err
	}
	if body.Error != nil {
		return body.Error
	}
	return nil
}
