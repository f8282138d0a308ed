package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

// keeping is a type that an older build has of what a newer one wrote.
type keeping struct {
	Owner string        `json:"owner"`
	Note  string        `json:"note,omitempty"`
	Rest  store.Unknown `json:"-"`
}

// wider is what the newer one wrote.
type wider struct {
	Channel string         `json:"channel"`
	Owner   string         `json:"owner"`
	Big     uint64         `json:"big"`
	Part    map[string]int `json:"part"`
	Ratio   float64        `json:"ratio"`
	At      time.Time      `json:"at"`
	Tags    []string       `json:"tags"`
}

func fullWider() wider {
	return wider{"web <b>", "ann", math.MaxUint64, map[string]int{"b": 2, "a": -1}, 0.5, time.Date(2012, 3, 1, 9, 30, 0, 5000, time.UTC), []string{"é"}}
}

func TestUnknownIsWrittenBack(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		want := fullWider()
		var old keeping
		if err := c.Unmarshal(mustMarshal(t, c, want), &old, false); err != nil || old.Owner != "ann" || old.Rest == (store.Unknown{}) {
			t.Fatalf("%+v, %v", old, err)
		}
		old.Owner, old.Note, want.Owner = "bob", "moved", "bob"
		for _, v := range []any{old, &old} {
			data := mustMarshal(t, c, v)
			var back wider
			if err := c.Unmarshal(data, &back, false); err != nil || !reflect.DeepEqual(back, want) {
				t.Errorf("came back as %+v, %v, want %+v", back, err, want)
			}
			var again keeping
			if err := c.Unmarshal(data, &again, false); err != nil || again != old {
				t.Errorf("read again as %+v, %v, want %+v", again, err, old)
			}
			if twice := mustMarshal(t, c, again); !bytes.Equal(twice, data) {
				t.Errorf("%q, then %q", data, twice)
			}
		}
	})
}

func TestUnknownEmpty(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		type plain struct {
			Owner string `json:"owner"`
			Note  string `json:"note,omitempty"`
		}
		want := mustMarshal(t, c, plain{Owner: "ann"})
		if got := mustMarshal(t, c, keeping{Owner: "ann"}); !bytes.Equal(got, want) {
			t.Errorf("without unknown fields it is %q, want %q", got, want)
		}
		got := keeping{}
		if err := c.Unmarshal(want, &got, false); err != nil || got != (keeping{Owner: "ann"}) {
			t.Errorf("%+v, %v", got, err)
		}
		null := mustMarshal(t, c, (*keeping)(nil))
		if err := c.Unmarshal(null, &got, false); err != nil {
			t.Errorf("null: %v", err)
		}
	})
}

// The other codec writes what this one kept: a command that came as JSON becomes
// an event in msgpack, and the reverse.
func TestUnknownChangesCodec(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		other := store.JSON
		if c == store.JSON {
			other = store.MsgPack
		}
		type timeless struct { // JSON has texts for times
			Channel string         `json:"channel"`
			Big     uint64         `json:"big"`
			Small   int            `json:"small"`
			Part    map[string]int `json:"part"`
			Ratio   float64        `json:"ratio"`
			Tags    []string       `json:"tags"`
			None    *int           `json:"none"`
		}
		want := timeless{"web <b>", math.MaxUint64, -7, map[string]int{"b": 2, "a": -1}, 0.5, []string{"é"}, nil}
		var v keeping
		if err := c.Unmarshal(mustMarshal(t, c, want), &v, false); err != nil {
			t.Fatal(err)
		}
		var back timeless
		if err := other.Unmarshal(mustMarshal(t, other, v), &back, false); err != nil || !reflect.DeepEqual(back, want) {
			t.Errorf("%+v, %v, want %+v", back, err, want)
		}
	})
}

// A type that has the field by now writes its own.
func TestUnknownGivesWay(t *testing.T) {
	type learned struct {
		Owner   string        `json:"owner"`
		Channel string        `json:"channel,omitempty"`
		Rest    store.Unknown `json:"-"`
	}
	eachCodec(t, func(t *testing.T, c store.Codec) {
		var old keeping
		if err := c.Unmarshal(mustMarshal(t, c, map[string]any{"channel": "web", "more": 1}), &old, false); err != nil {
			t.Fatal(err)
		}
		for _, channel := range []string{"", "mail"} {
			var back learned
			err := c.Unmarshal(mustMarshal(t, c, learned{Channel: channel, Rest: old.Rest}), &back, false)
			if err != nil || back.Channel != channel || back.Rest == (store.Unknown{}) {
				t.Errorf("%+v, %v, want channel %q and more", back, err, channel)
			}
		}
	})
}

func TestUnknownStrict(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		var v keeping
		if err := c.Unmarshal(mustMarshal(t, c, fullWider()), &v, true); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("strictly: %+v, %v, want it invalid", v, err)
		}
	})
}

func TestUnknownManyFields(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		for _, n := range []int{14, 15, 16, 70_000} {
			fields := map[string]int{}
			for i := range min(n, 20_000) {
				fields[fmt.Sprintf("f%d", i)] = i
			}
			var v keeping
			if err := c.Unmarshal(mustMarshal(t, c, fields), &v, false); err != nil {
				t.Fatal(err)
			}
			var back map[string]any
			if err := c.Unmarshal(mustMarshal(t, c, v), &back, false); err != nil || len(back) != len(fields)+1 {
				t.Errorf("%d fields came back as %d, %v", len(fields)+1, len(back), err)
			}
		}
	})
}

func TestUnknownMayBeEmbedded(t *testing.T) {
	type embedding struct {
		store.Unknown `json:"-"`

		Owner string `json:"owner"`
	}
	eachCodec(t, func(t *testing.T, c store.Codec) {
		types := store.NewTypes(map[string]any{"opened": embedding{}})
		data := mustMarshal(t, c, fullWider())
		v, err := types.Decode(c, "opened", 1, data)
		if err != nil {
			t.Fatal(err)
		}
		again, err := types.Encode(c, v)
		var back wider
		if err != nil || c.Unmarshal(again.Data, &back, true) != nil || !reflect.DeepEqual(back, fullWider()) {
			t.Errorf("%q came back as %q, %v", data, again.Data, err)
		}
	})
}

// JSON matches names without regard to case, so a name in other letters is known.
func TestUnknownJSONCase(t *testing.T) {
	t.Parallel()
	var v keeping
	if err := store.JSON.Unmarshal([]byte(`{"OWNER":"ann","x":{"a" : [1, 2]}}`), &v, false); err != nil || v.Owner != "ann" {
		t.Fatalf("%+v, %v", v, err)
	}
	if got := string(mustMarshal(t, store.JSON, v)); got != `{"owner":"ann","x":{"a":[1,2]}}` {
		t.Errorf("written back as %s", got)
	}
	if plain, err := json.Marshal(v); err != nil || string(plain) != `{"owner":"ann"}` {
		t.Errorf("encoding/json writes %s, %v", plain, err)
	}
}

func TestUnknownRefused(t *testing.T) {
	t.Parallel()
	type untagged struct{ Rest store.Unknown }
	type hidden struct {
		rest store.Unknown `json:"-"`
	}
	type inside struct {
		List []keeping `json:"list"`
	}
	_ = hidden{}.rest
	for name, make := range map[string]func(){
		"untagged": func() { store.NewTypes(map[string]any{"opened": untagged{}}) },
		"hidden":   func() { store.NewTypes(map[string]any{"opened": hidden{}}) },
		"inside":   func() { store.NewTypes(map[string]any{"opened": inside{}}) },
		"of a step": func() {
			store.NewTypes(map[string]any{"opened": opened{}}, store.Upcast("opened", 1, func(inside) opened { return opened{} }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if cause, _ := recover().(string); !strings.Contains(cause, "field ") {
					t.Errorf("want a panic that names the field, got %q", cause)
				}
			}()
			make()
		})
	}
}

// Whatever is kept can be written, and reads as the same again.
func FuzzUnknown(f *testing.F) {
	for _, c := range codecs {
		data, err := c.Marshal(fullWider())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, seed := range []string{`{"a":1e999}`, `{"a":{"b":[null,1.0]},"Owner":"x"}`, "\x81\xa1a\x81\x01\x02", "\xde\x00\x01\xc4\x01a\xc0", "null", "\xc0"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range codecs {
			var v, again keeping
			if c.Unmarshal(data, &v, false) != nil {
				continue
			}
			written, err := c.Marshal(v)
			if errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrInvalid) && v.Owner+v.Note != "" {
				continue // one field more than there may be, or a text that is none
			}
			if err != nil {
				t.Fatalf("%q is read as %+v, which cannot be written: %v", data, v, err)
			}
			if err := c.Unmarshal(written, &again, false); err != nil || again != v {
				t.Fatalf("%+v became %+v, %v", v, again, err)
			}
			for _, other := range codecs {
				_, _ = other.Marshal(v) // may refuse, and must not panic
			}
		}
	})
}
