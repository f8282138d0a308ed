package store_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

type accountEvent interface{ isAccountEvent() }

type opened struct {
	Owner string `json:"owner"`
}

type closed struct{}

type renamed struct {
	Name string `json:"name"`
}

func (opened) isAccountEvent()  {}
func (closed) isAccountEvent()  {}
func (renamed) isAccountEvent() {}

func accountEvents() store.Types[accountEvent] {
	return store.NewTypes(map[string]accountEvent{"opened": opened{}, "closed": closed{}})
}

func TestTypesKnow(t *testing.T) {
	t.Parallel()
	types := accountEvents()
	if got := types.Names(); !slices.Equal(got, []string{"closed", "opened"}) {
		t.Errorf("Names() = %q", got)
	}
	if !types.Has("opened") || types.Has("renamed") {
		t.Error("Has is wrong about opened or renamed")
	}
	if types.Schema("opened") != 1 || types.Schema("renamed") != 0 {
		t.Error("Schema is wrong about opened or renamed")
	}
	if name, ok := types.Name(opened{}); name != "opened" || !ok {
		t.Errorf("Name(opened{}) = %q, %v", name, ok)
	}
	for _, v := range []accountEvent{renamed{}, &opened{}, nil} {
		if name, ok := types.Name(v); ok {
			t.Errorf("Name(%#v) = %q, want none", v, name)
		}
	}
	var none store.Types[accountEvent]
	if _, ok := none.Name(opened{}); ok || none.Has("opened") || len(none.Names()) != 0 {
		t.Error("the zero value knows a name")
	}
}

func TestTypesRoundTrip(t *testing.T) {
	types := accountEvents()
	eachCodec(t, func(t *testing.T, c store.Codec) {
		for _, want := range []accountEvent{opened{Owner: "ann"}, opened{}, closed{}} {
			encoded, err := types.Encode(c, want)
			if err != nil {
				t.Fatal(err)
			}
			name, schema, data := encoded.Name, encoded.Schema, encoded.Data
			got, err := types.Decode(c, name, schema, data)
			if err != nil || got != want {
				t.Errorf("%s in schema %d: %#v, %v, want %#v", name, schema, got, err, want)
			}
			got, err = types.DecodeStrict(c, name, 0, data)
			if err != nil || got != want {
				t.Errorf("%s, strictly: %#v, %v, want %#v", name, got, err, want)
			}
		}
	})
}

func TestTypesDecode(t *testing.T) {
	types := accountEvents()
	eachCodec(t, func(t *testing.T, c store.Codec) {
		wide := mustMarshal(t, c, map[string]string{"owner": "ann", "since": "2012"})
		if got, err := types.Decode(c, "opened", 1, wide); err != nil || got != (opened{Owner: "ann"}) {
			t.Errorf("an event with a field of later: %#v, %v", got, err)
		}
		if got, err := types.DecodeStrict(c, "opened", 0, wide); !errors.Is(err, store.ErrInvalid) || got != nil {
			t.Errorf("a command with a field too many: %#v, %v, want it invalid", got, err)
		}
		if got, err := types.DecodeStrict(c, "opened", 0, nil); err != nil || got != (opened{}) {
			t.Errorf("a command without a body: %#v, %v, want the zero value", got, err)
		}
		if got, err := types.Decode(c, "opened", 1, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("an event without data: %#v, %v, want it invalid", got, err)
		}
		if _, err := types.DecodeStrict(c, "opened", 0, []byte("\xdd\xff\xff\xff\xff")); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("a bomb: %v, want it invalid", err)
		}
	})
}

func TestTypesUnknown(t *testing.T) {
	t.Parallel()
	types, empty := accountEvents(), []byte("\x80")
	_, byName := types.Decode(store.MsgPack, "renamed", 1, empty)
	_, bySchema := types.Decode(store.MsgPack, "opened", 999, empty)
	_, command := types.DecodeStrict(store.MsgPack, "renamed", 0, empty)
	for err, want := range map[error]store.UnknownTypeError{
		byName:   {What: "event", Name: "renamed", Schema: 1},
		bySchema: {What: "event", Name: "opened", Schema: 999},
		command:  {What: "command", Name: "renamed"},
	} {
		var unknown *store.UnknownTypeError
		if !errors.As(err, &unknown) || *unknown != want || !errors.Is(err, store.ErrUnknownType) {
			t.Errorf("%v, want %+v", err, want)
		}
	}
	if _, err := types.Encode(store.MsgPack, renamed{}); !errors.Is(err, store.ErrUnknownType) {
		t.Errorf("encode what has no name: %v, want it unknown", err)
	}
	if _, err := types.Encode(store.MsgPack, opened{Owner: "\xff"}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("encode what cannot be read again: %v, want it invalid", err)
	}
}

func TestNewTypesPanics(t *testing.T) {
	t.Parallel()
	type text string
	for name, make := range map[string]func(){
		"bad name":           func() { store.NewTypes(map[string]any{"Opened": opened{}}) },
		"pointer":            func() { store.NewTypes(map[string]any{"opened": &opened{}}) },
		"no struct":          func() { store.NewTypes(map[string]any{"opened": text("")}) },
		"nil":                func() { store.NewTypes(map[string]accountEvent{"opened": nil}) },
		"one type two names": func() { store.NewTypes(map[string]any{"opened": opened{}, "begun": opened{}}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if cause, ok := recover().(string); !ok || !strings.HasPrefix(cause, "store: ") {
					t.Errorf("want a panic that says why, got %v", cause)
				}
			}()
			make()
		})
	}
}

func FuzzTypesDecode(f *testing.F) {
	types := accountEvents()
	for _, seed := range []string{"\x81\xa5owner\xa3ann", `{"owner":"ann"}`, "\x80", "\x91\xa1a", "\xc0", "null"} {
		f.Add("opened", 1, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, name string, schema int, data []byte) {
		for _, c := range codecs {
			v, err := types.Decode(c, name, schema, data)
			if err != nil {
				if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, store.ErrUnknownType) {
					t.Fatalf("%v has no kind", err)
				}
				continue
			}
			encoded, err := types.Encode(c, v)
			if err != nil || encoded.Name != name || encoded.Schema != schema {
				t.Fatalf("%#v has name %q and schema %d, %v; was %q, %d", v, encoded.Name, encoded.Schema, err, name, schema)
			}
			if back, err := types.DecodeStrict(c, name, 0, encoded.Data); err != nil || !reflect.DeepEqual(back, v) {
				t.Fatalf("%#v became %#v, %v", v, back, err)
			}
		}
	})
}
