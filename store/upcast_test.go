package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// parcelEvent is what happens to a parcel, in the third build. What the first
// and the second wrote has V1 and V2 in its name.
type parcelEvent interface{ isParcelEvent() }

type registered struct {
	Sender string  `json:"sender"`
	Kilos  float64 `json:"kilos"`
}

type departed struct {
	From string `json:"from"`
}

type arrived struct {
	At string `json:"at"`
}

type handedOver struct {
	To string `json:"to"`
}

func (registered) isParcelEvent() {}
func (departed) isParcelEvent()   {}
func (arrived) isParcelEvent()    {}
func (handedOver) isParcelEvent() {}

type registeredV1 struct {
	First string `json:"first"`
	Last  string `json:"last"`
	Grams int    `json:"grams"`
}

type registeredV2 struct {
	Sender string `json:"sender"`
	Grams  int    `json:"grams"`
}

type movedV1 struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type deliveredV1 struct {
	Hand string `json:"hand"`
}

type scannedV1 struct {
	By string `json:"by"`
}

func toRegisteredV2(r registeredV1) registeredV2 {
	return registeredV2{Sender: strings.TrimSpace(r.First + " " + r.Last), Grams: r.Grams}
}

func toRegistered(r registeredV2) registered {
	return registered{Sender: r.Sender, Kilos: float64(r.Grams) / 1000}
}

// parcelSteps lead from what was ever written to parcelTypes.
func parcelSteps() []store.Step {
	return []store.Step{
		store.Upcast("registered", 2, toRegistered),
		store.Upcast("registered", 1, toRegisteredV2),
		store.Split("moved", 1, func(m movedV1) []parcelEvent { return []parcelEvent{departed{m.From}, arrived{m.To}} }),
		store.Upcast("delivered", 1, func(d deliveredV1) handedOver { return handedOver{To: d.Hand} }),
		store.Rename("delivered", 2, "handed-over"),
		store.Split("scanned", 1, func(scannedV1) []parcelEvent { return nil }),
	}
}

func parcelEvents() store.Types[parcelEvent] {
	return store.NewTypes(map[string]parcelEvent{
		"registered": registered{}, "departed": departed{}, "arrived": arrived{}, "handed-over": handedOver{},
	}, parcelSteps()...)
}

// parcelV1 are the types of the first build: for any value, so that they need no
// interface of their own.
func parcelV1() store.Types[any] {
	return store.NewTypes(map[string]any{
		"registered": registeredV1{}, "moved": movedV1{}, "delivered": deliveredV1{}, "scanned": scannedV1{},
	})
}

func TestUpcast(t *testing.T) {
	types := parcelEvents()
	eachCodec(t, func(t *testing.T, c store.Codec) {
		for _, test := range []struct {
			name   string
			schema int
			stored any
			want   []parcelEvent
		}{
			{"registered", 1, registeredV1{"Ann", "Lee", 1500}, []parcelEvent{registered{"Ann Lee", 1.5}}},
			{"registered", 2, registeredV2{"Ann Lee", 1500}, []parcelEvent{registered{"Ann Lee", 1.5}}},
			{"registered", 3, registered{"Ann Lee", 1.5}, []parcelEvent{registered{"Ann Lee", 1.5}}},
			{"moved", 1, movedV1{"Oslo", "Bonn"}, []parcelEvent{departed{"Oslo"}, arrived{"Bonn"}}},
			{"delivered", 1, deliveredV1{"Bob"}, []parcelEvent{handedOver{"Bob"}}},
			{"delivered", 2, handedOver{"Bob"}, []parcelEvent{handedOver{"Bob"}}},
			{"handed-over", 1, handedOver{"Bob"}, []parcelEvent{handedOver{"Bob"}}},
			{"scanned", 1, scannedV1{"x"}, nil},
		} {
			before := []parcelEvent{arrived{"first"}}
			got, err := types.DecodeAll(before, c, test.name, test.schema, mustMarshal(t, c, test.stored))
			if want := append(before[:1:1], test.want...); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s v%d: %v, %v, want %v", test.name, test.schema, got, err, want)
			}
			one, err := types.Decode(c, test.name, test.schema, mustMarshal(t, c, test.stored))
			if len(test.want) == 1 && (err != nil || one != test.want[0]) || len(test.want) != 1 && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s v%d as one: %v, %v", test.name, test.schema, one, err)
			}
		}
	})
}

func TestUpcastKnows(t *testing.T) {
	t.Parallel()
	types := parcelEvents()
	if got := types.Names(); !slices.Equal(got, []string{"arrived", "departed", "handed-over", "registered"}) {
		t.Errorf("Names() = %q", got)
	}
	if got := types.OldNames(); !slices.Equal(got, []string{"delivered", "moved", "scanned"}) {
		t.Errorf("OldNames() = %q", got)
	}
	for name, want := range map[string]int{"registered": 3, "arrived": 1, "moved": 1, "delivered": 2, "lost": 0} {
		if got := types.Schema(name); got != want || types.Has(name) != (want > 0) {
			t.Errorf("Schema(%q) = %d, Has %v, want %d", name, got, types.Has(name), want)
		}
	}
	// What is split may become anything.
	if got := types.Origins("handed-over"); !slices.Equal(got, []string{"delivered", "handed-over", "moved", "scanned"}) {
		t.Errorf("Origins(handed-over) = %q", got)
	}
	encoded, err := types.Encode(store.JSON, registered{})
	if encoded.Name != "registered" || encoded.Schema != 3 || err != nil {
		t.Errorf("a registered is written as %s v%d, %v", encoded.Name, encoded.Schema, err)
	}
}

func TestUpcastUnknown(t *testing.T) {
	t.Parallel()
	types := parcelEvents()
	for _, test := range []struct {
		name   string
		schema int
	}{{"registered", 0}, {"registered", 4}, {"moved", 2}, {"delivered", 3}, {"scanned", -1}} {
		_, err := types.DecodeAll(nil, store.JSON, test.name, test.schema, []byte("{}"))
		unknown, ok := errors.AsType[*store.UnknownTypeError](err)
		if !ok || unknown.Name != test.name || unknown.Schema != test.schema {
			t.Errorf("%s v%d: %v, want it unknown", test.name, test.schema, err)
		}
	}
	stray := store.NewTypes(map[string]any{"arrived": arrived{}}, store.Split("moved", 1, func(movedV1) []any { return []any{arrived{}, movedV1{}} }))
	dst := []any{departed{}}
	got, err := stray.DecodeAll(dst, store.JSON, "moved", 1, []byte("{}"))
	if !errors.Is(err, store.ErrUnknownType) || !slices.Equal(got, dst) {
		t.Errorf("split into a type without a name: %v, %v", got, err)
	}
}

// Data are judged by the type of the version that they are written in.
func TestUpcastStrict(t *testing.T) {
	types := parcelEvents()
	eachCodec(t, func(t *testing.T, c store.Codec) {
		v1 := mustMarshal(t, c, registeredV1{"Ann", "", 10})
		if got, err := types.DecodeStrict(c, "registered", 1, v1); err != nil || got != (registered{"Ann", 0.01}) {
			t.Errorf("at version 1: %v, %v", got, err)
		}
		if _, err := types.DecodeStrict(c, "registered", 0, v1); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("version 1 as the last one: %v, want it invalid", err)
		}
		if got, err := types.DecodeStrict(c, "registered", 1, nil); err != nil || got != (registered{}) {
			t.Errorf("no data: %v, %v", got, err)
		}
		if got, err := types.DecodeStrict(c, "delivered", 0, mustMarshal(t, c, handedOver{"Bob"})); err != nil || got != (handedOver{"Bob"}) {
			t.Errorf("an old name without a version: %v, %v", got, err)
		}
		if _, err := types.DecodeStrict(c, "moved", 1, nil); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("what is split, as a command: %v, want it invalid", err)
		}
		if got, err := types.AsStored(c, "registered", 1, v1, true); err != nil || got != (registeredV1{"Ann", "", 10}) {
			t.Errorf("as stored: %v, %v", got, err)
		}
	})
}

// An event of the current schema keeps its bytes; every other is written anew.
func TestUpcastEvents(t *testing.T) {
	types := parcelEvents()
	eachCodec(t, func(t *testing.T, c store.Codec) {
		wide := store.Event{Type: "arrived", Schema: 1, Command: 2, Data: mustMarshal(t, c, map[string]string{"at": "Bonn", "more": "x"})}
		if got, err := types.Upcast(nil, c, wide); err != nil || !reflect.DeepEqual(got, []store.Event{wide}) {
			t.Errorf("a current event became %v, %v", got, err)
		}
		moved := store.Event{Type: "moved", Schema: 1, Command: 3, Data: mustMarshal(t, c, movedV1{"Oslo", "Bonn"})}
		want := []store.Event{
			{Type: "departed", Schema: 1, Command: 3, Data: mustMarshal(t, c, departed{"Oslo"})},
			{Type: "arrived", Schema: 1, Command: 3, Data: mustMarshal(t, c, arrived{"Bonn"})},
		}
		if got, err := types.Upcast(nil, c, moved); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a split event became %v, %v", got, err)
		}
		if got, err := types.Upcast(nil, c, store.Event{Type: "moved", Schema: 7}); !errors.Is(err, store.ErrUnknownType) || got != nil {
			t.Errorf("an unknown event became %v, %v", got, err)
		}
	})
}

// A name that was given up may stand for something else, in its next version.
func TestRenameFreesTheName(t *testing.T) {
	t.Parallel()
	types := store.NewTypes(map[string]parcelEvent{"arrived": arrived{}, "moved": departed{}},
		store.Upcast("moved", 1, func(m movedV1) arrived { return arrived{m.To} }), store.Rename("moved", 2, "arrived"))
	for schema, want := range map[int]parcelEvent{1: arrived{"Bonn"}, 2: arrived{}, 3: departed{"Oslo"}} {
		got, err := types.Decode(store.JSON, "moved", schema, []byte(`{"from":"Oslo","to":"Bonn"}`))
		if err != nil || got != want {
			t.Errorf("moved v%d: %v, %v, want %v", schema, got, err, want)
		}
	}
	if got := types.Origins("arrived"); !slices.Equal(got, []string{"arrived", "moved"}) {
		t.Errorf("Origins(arrived) = %q", got)
	}
}

// What is renamed follows what its new name became since, and so does a chain of names.
func TestRenamesChain(t *testing.T) {
	t.Parallel()
	types := store.NewTypes(map[string]parcelEvent{"registered": registered{}},
		store.Rename("begun", 1, "created"), store.Rename("created", 1, "registered"),
		store.Upcast("registered", 1, toRegisteredV2), store.Upcast("registered", 2, toRegistered))
	for _, name := range []string{"begun", "created", "registered"} {
		got, err := types.Decode(store.JSON, name, 1, []byte(`{"first":"Ann","grams":500}`))
		if err != nil || got != (registered{"Ann", 0.5}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestBrokenChains(t *testing.T) {
	t.Parallel()
	none := func(movedV1) []parcelEvent { return nil }
	same := func(r registered) registered { return r }
	for _, test := range []struct {
		want  string
		steps []store.Step
	}{
		{"registered: v1 -> v2, none from v2 to v3", []store.Step{store.Upcast("registered", 1, toRegisteredV2), store.Upcast("registered", 3, same)}},
		{"registered: none from v1 to v2", []store.Step{store.Upcast("registered", 2, toRegistered)}},
		{"registered: two steps from v1", []store.Step{store.Upcast("registered", 1, toRegisteredV2), store.Upcast("registered", 1, same)}},
		{"registered v1 -> v2: the step gives store_test.registeredV2, but v2 is store_test.registered", []store.Step{store.Upcast("registered", 1, toRegisteredV2)}},
		{"registered v1 -> v2: the step gives store_test.registeredV2, but v2 is store_test.movedV1", []store.Step{
			store.Upcast("registered", 1, toRegisteredV2), store.Upcast("registered", 2, func(movedV1) registered { return registered{} }),
		}},
		{"registred v1 -> registred v2: the table has no type for it", []store.Step{store.Upcast("registred", 1, toRegisteredV2)}},
		{"delivered v1 -> handed v1: the table has no type for it", []store.Step{store.Rename("delivered", 1, "handed")}},
		{"begun v1 -> created v1 -> begun v1 goes in a circle", []store.Step{store.Rename("begun", 1, "created"), store.Rename("created", 1, "begun")}},
		{"begun v1 -> begun v1 goes in a circle", []store.Step{store.Rename("begun", 1, "begun")}},
		{"moved: v1 is split into other values than store_test.parcelEvent, which the table has", []store.Step{store.Split("moved", 1, func(movedV1) []any { return nil })}},
		{"moved v0: schema versions of steps are 1 to 32767", []store.Step{store.Split("moved", 0, none)}},
		{"moved v40000: schema versions", []store.Step{store.Rename("moved", 40_000, "registered")}},
		{"the step from moved v1 has no function", []store.Step{store.Split[movedV1, parcelEvent]("moved", 1, nil)}},
		{"the step from registered v1 has no function", []store.Step{store.Upcast[registeredV1, registered]("registered", 1, nil)}},
		{"moved v1 stands for int, want a struct", []store.Step{store.Upcast("moved", 1, func(int) registered { return registered{} })}},
		{`invalid wire name "Moved"`, []store.Step{store.Split("Moved", 1, none)}},
		{`invalid wire name "Registered"`, []store.Step{store.Rename("moved", 1, "Registered")}},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if cause, _ := recover().(string); !strings.HasPrefix(cause, "store: "+test.want) {
					t.Errorf("panic %q, want %q", cause, test.want)
				}
			}()
			types := store.NewTypes(map[string]parcelEvent{"registered": registered{}}, test.steps...)
			t.Errorf("made %v", types.Names())
		})
	}
}

// Replay makes no garbage for what it does not use: decoding into room that is
// there costs what it cost before there were steps.
func TestDecodeAllAllocates(t *testing.T) {
	types := parcelEvents()
	for _, c := range codecs {
		data := mustMarshal(t, c, arrived{"Bonn"})
		plain := testing.AllocsPerRun(200, func() {
			v := new(arrived)
			if err := c.Unmarshal(data, v, false); err != nil {
				t.Fatal(err)
			}
		})
		room := make([]parcelEvent, 0, 1)
		all := testing.AllocsPerRun(200, func() {
			if _, err := types.DecodeAll(room, c, "arrived", 1, data); err != nil {
				t.Fatal(err)
			}
		})
		if all > plain+1 { // the value in its interface
			t.Errorf("%s: %v allocations, decoding alone takes %v", c.Name(), all, plain)
		}
	}
}

func ExampleUpcast() {
	type OpenedV1 struct {
		Name string `json:"name"`
	}
	type Opened struct {
		Owner string `json:"owner"`
	}
	types := store.NewTypes(map[string]any{"opened": Opened{}},
		store.Upcast("opened", 1, func(o OpenedV1) Opened { return Opened{Owner: o.Name} }))

	event, err := types.Decode(store.JSON, "opened", 1, []byte(`{"name":"ann"}`))
	fmt.Printf("%+v %v\n", event, err)
	encoded, _ := types.Encode(store.JSON, Opened{Owner: "bob"})
	fmt.Printf("v%d %s\n", encoded.Schema, encoded.Data)
	// Output:
	// {Owner:ann} <nil>
	// v2 {"owner":"bob"}
}
