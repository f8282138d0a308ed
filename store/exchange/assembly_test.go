package exchange

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

const (
	seedLine = `{"stream":"order/1","version":1,"position":1024,"id":"b32c1d6b-00c9-5a8f-a01c-f9227fd28529","type":"done","schema":1,` +
		`"time":"2012-03-01T09:30:01Z","commit":{"id":"0f1c1c0e-5a3b-4b0e-9d52-0e6a4c1f7a11","index":0,"count":1},` +
		`"command":{"id":"c","name":"do"},"codec":"msgpack","data":{"a":[1,2.0,"x",null]}}`
	seedCloudEvent = `{"specversion":"1.0","id":"b32c1d6b-00c9-5a8f-a01c-f9227fd28529","source":"/annals/x","type":"order.done","subject":"order/1",` +
		`"time":"2012-03-01T09:30:01Z","datacontenttype":"application/json","streamversion":"1","position":"1024","schemaversion":1,` +
		`"commitid":"0f1c1c0e-5a3b-4b0e-9d52-0e6a4c1f7a11","commitindex":0,"commitcount":1,"commandid":"c","commandname":"do","codec":"msgpack","data":{"a":true}}`
)

// assemble reads lines until the first that is wrong.
func assemble(form Form, text []byte) (all []*store.Commit, err error) {
	lines, a := newLineReader(bytes.NewReader(text)), assembly{form: form, codec: store.MsgPack}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return all, a.end()
		}
		if err != nil {
			return all, err
		}
		c, _, err := a.add(line)
		if err != nil {
			return all, err
		}
		if c != nil {
			all = append(all, c)
		}
	}
}

// disassemble writes the lines of a commit.
func disassemble(t *testing.T, form Form, c *store.Commit) []byte {
	t.Helper()
	var text []byte
	index := 0
	for r := range c.Recorded() {
		e := exporter{}
		made, err := e.event(store.MsgPack, c, index, r)
		if err != nil {
			t.Fatal(err)
		}
		line, err := form.marshal(made, "x")
		if err != nil {
			t.Fatal(err)
		}
		text = append(append(text, line...), '\n')
		index++
	}
	return text
}

// Whatever stands in a file: reading it ends, and a commit that could be stored
// is written as lines that give it again.
func FuzzAssembly(f *testing.F) {
	f.Add([]byte(seedLine), false)
	f.Add([]byte(seedCloudEvent), true)
	f.Add([]byte("{}\n"), false)
	f.Fuzz(func(t *testing.T, text []byte, cloud bool) {
		form := JSONLines
		if cloud {
			form = CloudEvents
		}
		all, _ := assemble(form, text)
		for _, c := range all {
			if c.After.Version > 0 {
				c.After.Sequence = 1 // which the log would give it
			}
			if _, err := store.EncodeCommit(store.MsgPack, c); err != nil {
				continue
			}
			c.After.Sequence = 0
			again, err := assemble(form, disassemble(t, form, c))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]*store.Commit{c}, again); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// The seeds must get as far as a commit, or the target tests little.
func TestSeedsAreCommits(t *testing.T) {
	t.Parallel()
	for form, seed := range map[Form]string{JSONLines: seedLine, CloudEvents: seedCloudEvent} {
		if all, err := assemble(form, []byte(seed)); err != nil || len(all) != 1 {
			t.Errorf("%d commits, %v", len(all), err)
		}
	}
}
