package actor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Change is one place where two states differ, in JSON. Changes in their order
// are a patch as RFC 6902 has it, which makes the new state of the old one.
type Change struct {
	// Op is "add", "remove" or "replace".
	Op string `json:"op"`
	// Path is a JSON pointer (RFC 6901), such as /offers/0/amount; "" is the whole
	// state.
	Path string `json:"path"`
	// Value is what is there now, absent if it was removed.
	Value json.RawMessage `json:"value,omitempty"`
	// Old is what was there before, absent if it was added.
	Old json.RawMessage `json:"old,omitempty"`
}

const (
	opAdd     = "add"
	opRemove  = "remove"
	opReplace = "replace"
)

// jsonOf returns what a state is in JSON, as maps, slices and exact numbers.
func jsonOf(k kind, state any) (tree any, err error) {
	defer k.contain("encode", &err)
	data, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("%w: encode state: %w", ErrInternal, k.withheld(err))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("%w: read state: %w", ErrInternal, err)
	}
	return tree, nil
}

// differences returns what makes b of a.
func differences(a, b any) []Change {
	var d differ
	d.values("", a, b)
	return d.changes
}

// differ gathers the changes from one tree to another.
type differ struct{ changes []Change }

func (d *differ) values(path string, a, b any) {
	switch was := a.(type) {
	case map[string]any:
		if is, ok := b.(map[string]any); ok && was != nil && is != nil {
			d.objects(path, was, is)
			return
		}
	case []any:
		if is, ok := b.([]any); ok {
			d.arrays(path, was, is)
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		d.add(Change{Op: opReplace, Path: path, Old: raw(a), Value: raw(b)})
	}
}

func (d *differ) objects(path string, a, b map[string]any) {
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		at := path + "/" + escaped(name)
		was, before := a[name]
		is, now := b[name]
		switch {
		case !before:
			d.add(Change{Op: opAdd, Path: at, Value: raw(is)})
		case !now:
			d.add(Change{Op: opRemove, Path: at, Old: raw(was)})
		default:
			d.values(at, was, is)
		}
	}
}

// arrays compares what lies between the elements that both begin and end with,
// one by one, so that what was put in or taken out somewhere is shown as that.
func (d *differ) arrays(path string, a, b []any) {
	from := 0
	for from < len(a) && from < len(b) && reflect.DeepEqual(a[from], b[from]) {
		from++
	}
	for len(a) > from && len(b) > from && reflect.DeepEqual(a[len(a)-1], b[len(b)-1]) {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	both := min(len(a), len(b))
	for i := from; i < both; i++ {
		d.values(indexed(path, i), a[i], b[i])
	}
	for i := len(a) - 1; i >= both; i-- { // from behind: what is left keeps its index
		d.add(Change{Op: opRemove, Path: indexed(path, i), Old: raw(a[i])})
	}
	for i := both; i < len(b); i++ {
		d.add(Change{Op: opAdd, Path: indexed(path, i), Value: raw(b[i])})
	}
}

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

func indexed(path string, i int) string { return path + "/" + strconv.Itoa(i) }

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

func escaped(name string) string { return pointerEscapes.Replace(name) }

// raw returns a part of a tree as JSON. It was JSON before, so that cannot fail.
func raw(tree any) json.RawMessage {
	data, err := json.Marshal(tree)
	if err != nil {
		return json.RawMessage("null")
	}
	return data
}
