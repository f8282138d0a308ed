//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
)

// way is what a user does with a subject.
type way string

const (
	publishes  way = "publish"
	subscribes way = "subscribe"
)

// row is a subject, and who may do that with it: names of users, with spaces
// between them.
type row struct {
	way     way
	subject string
	who     string
}

// tally is what came of the cells of a matrix.
type tally struct{ cells, allowed, refused, wrong int }

// tryAll tries each row with each of the users, and tells of those that come out
// wrong.
func (s *stage) tryAll(rows []row, users []string, tell io.Writer) (t tally, err error) {
	for _, user := range users {
		nc, err := s.connect(user)
		if err != nil {
			return t, err
		}
		for _, r := range rows {
			allowed, err := r.try(nc)
			if err != nil {
				nc.Close()
				return t, fmt.Errorf("%s: %s %s: %w", user, r.way, r.subject, err)
			}
			t.add(allowed, slices.Contains(strings.Fields(r.who), user), func(was string) {
				fmt.Fprintf(tell, "WRONG: %s may %s %s: %s\n", user, r.way, r.subject, was)
			})
		}
		nc.Close()
	}
	return t, nil
}

func (t *tally) add(allowed, expected bool, wrong func(was string)) {
	t.cells++
	switch {
	case allowed:
		t.allowed++
	default:
		t.refused++
	}
	if allowed != expected {
		t.wrong++
		wrong(fmt.Sprintf("allowed is %v, want %v", allowed, expected))
	}
}

// try does it, and reports whether the server let it. The server takes what a
// connection sends in order, and says what it refused before it answers the flush.
func (r row) try(nc *nats.Conn) (allowed bool, err error) {
	what := "Subscription"
	if r.way == publishes {
		what = "Publish"
		// Nobody could act on such a body, but the servers, on some requests.
		err = nc.Publish(r.subject, []byte("\xc1"))
	} else {
		var sub *nats.Subscription
		if sub, err = nc.SubscribeSync(r.subject); err == nil {
			defer func() { _ = sub.Unsubscribe() }()
		}
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		return false, err
	}
	last := nc.LastError()
	return last == nil || !strings.Contains(last.Error(), fmt.Sprintf("Permissions Violation for %s to %q", what, r.subject)), nil
}
