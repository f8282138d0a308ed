package exchange

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// assembly puts the lines of a commit together again.
type assembly struct {
	form  Form
	codec store.Codec

	commit *store.Commit // nil between two commits
	first  part          // of the commit's first line
	ids    []uuid.UUID   // that the lines give their events
	bytes  int           // of data, bounded by what a commit may hold
}

// add takes the next line, and returns the commit that it is the last line of,
// or nil. The head that the commit follows has its version only.
func (a *assembly) add(line []byte) (*store.Commit, store.StreamID, error) {
	e, err := a.form.unmarshal(line)
	if err != nil {
		return nil, store.StreamID{}, err
	}
	id, err := store.ParseStreamID(e.Stream)
	if err != nil {
		return nil, id, err
	}
	command, err := e.Command.stored(e.Codec, a.codec)
	if err != nil {
		return nil, id, err
	}
	data, err := e.stored(e.Codec, a.codec)
	if err != nil {
		return nil, id, err
	}
	personal, err := e.spans()
	if err != nil {
		return nil, id, err
	}
	if err := a.follow(e, id); err != nil {
		return nil, id, err
	}
	a.append(e, command, data, personal)
	if a.bytes > store.MaxCommitBytes {
		return nil, id, &store.TooLargeError{What: "commit of " + e.Stream, Size: a.bytes, Limit: store.MaxCommitBytes}
	}
	if len(a.ids) < e.Commit.Count {
		return nil, id, nil
	}
	c, err := a.finish()
	return c, id, err
}

// follow begins a commit, or checks that the line goes on with the one begun.
func (a *assembly) follow(e *event, id store.StreamID) error {
	if a.commit == nil {
		if e.Commit.Index != 0 {
			return outOfOrder("event %d of a commit comes first; its beginning is missing", e.Commit.Index)
		}
		a.first, a.bytes, a.ids = e.Commit, 0, a.ids[:0]
		a.commit = &store.Commit{Stream: id, ID: e.Commit.ID, Time: e.Time.UTC(), Epoch: e.Epoch, After: store.Head{Version: e.Version - 1}}
		return nil
	}
	c := a.commit
	switch n := len(c.Events); {
	case id != c.Stream || e.Commit.ID != c.ID:
		return outOfOrder("a commit of %s has %d more events before this line", c.Stream, a.first.Count-n)
	case e.Commit.Index != n || e.Commit.Count != a.first.Count:
		return outOfOrder("it is event %d of %d in its commit, want %d of %d", e.Commit.Index, e.Commit.Count, n, a.first.Count)
	case e.Version != c.After.Version+uint64(n)+1:
		return outOfOrder("it has version %d, the event before it %d", e.Version, c.After.Version+uint64(n))
	case !e.Time.Equal(c.Time) || e.Epoch != c.Epoch:
		return invalidLine("line", e.Stream, "its time or epoch is not that of its commit")
	}
	return nil
}

// append adds the event, and its command if it is not the last event's too.
func (a *assembly) append(e *event, command store.Command, data []byte, personal []store.Personal) {
	c := a.commit
	if n := len(c.Commands); n == 0 || !same(c.Commands[n-1], command) {
		c.Commands = append(c.Commands, command)
	}
	c.Events = append(c.Events, store.Event{Type: e.Type, Schema: e.Schema, Command: len(c.Commands) - 1, Data: data, Personal: personal})
	a.ids = append(a.ids, e.ID)
	a.bytes += len(data)
}

// same reports whether two lines are of one command.
func same(a, b store.Command) bool {
	data := bytes.Equal(a.Data, b.Data)
	a.Data, b.Data = nil, nil
	return data && reflect.DeepEqual(a, b)
}

// finish returns the commit. An event's id follows from its command, so one that
// is another's shows that one of the two was changed.
func (a *assembly) finish() (*store.Commit, error) {
	c := a.commit
	a.commit = nil
	i := 0
	for r := range c.Recorded() {
		if r.ID != a.ids[i] {
			return nil, invalidLine("id of version "+number(r.Version), a.ids[i].String(), "its stream and command make it "+r.ID.String())
		}
		i++
	}
	return c, nil
}

// end returns an error if the lines ended inside a commit.
func (a *assembly) end() error {
	if a.commit == nil {
		return nil
	}
	return outOfOrder("the file ends inside a commit of %s: %d more events are missing", a.commit.Stream, a.first.Count-len(a.commit.Events))
}

// stored returns the bytes to store of a value that had the codec of the name
// from.
func (p *payload) stored(from string, to store.Codec) ([]byte, error) {
	if from != store.JSON.Name() && from != store.MsgPack.Name() {
		return nil, invalidLine("codec", from, `want "msgpack" or "json"`)
	}
	if to == store.JSON {
		return p.asJSON()
	}
	if from == store.JSON.Name() {
		return nil, errEncoding(from, to.Name(), "JSON does not tell bytes from text")
	}
	if p.Packed == nil {
		return fromJSON(p.Data)
	}
	if text, _ := toJSON(*p.Packed); !sameJSON(text, p.Data) {
		return nil, invalidLine("data", string(p.Data), "it is not what stands in packed; whoever changes data takes packed away")
	}
	return *p.Packed, nil
}

// asJSON returns the JSON itself, unless it stands for something that has none.
func (p *payload) asJSON() ([]byte, error) {
	if p.Packed != nil {
		text, whole := toJSON(*p.Packed)
		if !whole {
			return nil, errEncoding(store.MsgPack.Name(), store.JSON.Name(), "the value has no JSON")
		}
		if !sameJSON(text, p.Data) {
			return nil, invalidLine("data", string(p.Data), "it is not what stands in packed; whoever changes data takes packed away")
		}
	}
	return compact(p.Data), nil
}

// sameJSON compares values: who passed the lines on may have written them with
// other white space, escapes or order of names.
func sameJSON(a, b []byte) bool {
	return bytes.Equal(a, b) || reflect.DeepEqual(valueOf(a), valueOf(b))
}

func valueOf(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	return v
}

// compact returns the JSON without white space. What it is given was decoded, so
// it is JSON.
func compact(text []byte) []byte {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return text
	}
	return b.Bytes()
}
