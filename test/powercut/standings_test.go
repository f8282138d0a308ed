//go:build linux

package main

import (
	"testing"

	"github.com/nats-io/nats.go"
)

func TestStandingOfWhatABucketHolds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		m    message
		want uint64
		fail bool
	}{
		{name: "a document", m: message{header: nats.Header{"Annals-Position": {"2048"}}, data: []byte(`{"position":1}`)}, want: 2048},
		{name: "a checkpoint", m: message{data: []byte(`{"worker":"all","position":3072}`)}, want: 3072},
		{name: "a deletion", m: message{header: nats.Header{"KV-Operation": {"DEL"}}}},
		{name: "something else", m: message{data: []byte(`{}`)}, fail: true},
		{name: "no number", m: message{header: nats.Header{"Annals-Position": {"x"}}}, fail: true},
	} {
		got, err := standingOf("bucket", c.m)
		if (err != nil) != c.fail || !c.fail && uint64(got.position) != c.want {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}
