package store_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

var codecs = []store.Codec{store.MsgPack, store.JSON}

// eachCodec runs a test once with each codec.
func eachCodec(t *testing.T, run func(t *testing.T, c store.Codec)) {
	t.Parallel()
	for _, c := range codecs {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			run(t, c)
		})
	}
}

func mustMarshal(t *testing.T, c store.Codec, v any) []byte {
	t.Helper()
	data, err := c.Marshal(v)
	if err != nil {
		t.Fatalf("marshal %+v: %v", v, err)
	}
	return data
}

func TestCodecByName(t *testing.T) {
	t.Parallel()
	for _, c := range codecs {
		if got, err := store.CodecByName(c.Name()); err != nil || got != c {
			t.Errorf("CodecByName(%q) = %v, %v", c.Name(), got, err)
		}
	}
	if _, err := store.CodecByName("gob"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("CodecByName(gob): %v, want it invalid", err)
	}
}

func TestCodecRoundTrip(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		want := fullSample()
		data := mustMarshal(t, c, want)
		for _, strict := range []bool{false, true} {
			var got sample
			if err := c.Unmarshal(data, &got, strict); err != nil {
				t.Fatalf("strict %v: %v", strict, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("strict %v (-want +got):\n%s", strict, diff)
			}
		}
	})
}

// The bytes of a log are read for as long as there are logs.
func TestCodecGolden(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		v := fullSample()
		v.Counts = map[int]int{300: 2}
		golden(t, "value."+c.Name(), mustMarshal(t, c, v), c != store.JSON)
	})
}

// golden compares bytes with those of a file in testdata, which are never
// written again: a difference means that old data can no longer be trusted to
// be read.
func golden(t *testing.T, name string, got []byte, asHex bool) {
	t.Helper()
	if asHex {
		got = []byte(breakLines(hex.EncodeToString(got)))
	} else {
		got = append(got, '\n')
	}
	path := filepath.Join("testdata", name)
	want, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("ANNALS_GOLDEN") == "create" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("%s was created: look at it, and run again", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", path, diff)
	}
}

func breakLines(s string) string {
	const width = 80
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\n")
		s = s[width:]
	}
	return b.String() + s + "\n"
}

func TestCodecTimesAreUTC(t *testing.T) {
	type inner struct {
		At time.Time `json:"at"`
	}
	type times struct {
		At      time.Time            `json:"at"`
		Pointer *time.Time           `json:"pointer"`
		List    []time.Time          `json:"list"`
		Array   [1]time.Time         `json:"array"`
		Map     map[string]time.Time `json:"map"`
		Inner   inner                `json:"inner"`
		Inners  map[string]*inner    `json:"inners"`
		Zero    time.Time            `json:"zero"`
		Next    *times               `json:"next"`
	}
	eachCodec(t, func(t *testing.T, c store.Codec) {
		abroad := time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.FixedZone("abroad", 2*60*60))
		home := abroad.UTC()
		in := func(at time.Time) times {
			return times{
				At: at, Pointer: &at, List: []time.Time{at}, Array: [1]time.Time{at}, Map: map[string]time.Time{"a": at},
				Inner: inner{at}, Inners: map[string]*inner{"a": {at}},
			}
		}
		data := mustMarshal(t, c, in(abroad))
		var got times
		if err := c.Unmarshal(data, &got, true); err != nil {
			t.Fatal(err)
		}
		// reflect compares the zones too, as == does.
		if want := in(home); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		next := in(home)
		want := in(home)
		want.Next = &next
		data = mustMarshal(t, c, want)
		got = times{}
		if err := c.Unmarshal(data, &got, true); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("a type that holds itself: %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestCodecStrict(t *testing.T) {
	type wide struct {
		A     int `json:"a"`
		Extra int `json:"extra"`
	}
	type narrow struct {
		A int `json:"a"`
	}
	eachCodec(t, func(t *testing.T, c store.Codec) {
		data := mustMarshal(t, c, wide{A: 1, Extra: 2})
		var got narrow
		if err := c.Unmarshal(data, &got, false); err != nil || got.A != 1 {
			t.Errorf("lenient: %+v, %v, want the field that is known", got, err)
		}
		if err := c.Unmarshal(data, &got, true); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "extra") {
			t.Errorf("strict: %v, want it invalid for the field extra", err)
		}
	})
}

// What is left out when empty comes back as it was, whichever of the two tag
// options says so, and whether a codec knows the option or not.
func TestCodecOmits(t *testing.T) {
	type omits struct {
		A string          `json:"a,omitempty"`
		B int             `json:"b,omitzero"`
		C []int           `json:"c,omitempty"`
		D map[string]int  `json:"d,omitzero"`
		E *int            `json:"e,omitempty"`
		F time.Time       `json:"f,omitzero"`
		G struct{ X int } `json:"g,omitzero"`
		H string          `json:"-"`
	}
	eachCodec(t, func(t *testing.T, c store.Codec) {
		one := 1
		full := omits{A: "a", B: 1, C: []int{1}, D: map[string]int{"a": 1}, E: &one, F: time.Unix(1, 0).UTC(), G: struct{ X int }{1}}
		for _, want := range []omits{{}, full} {
			var got omits
			if err := c.Unmarshal(mustMarshal(t, c, want), &got, true); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		}
		var got omits
		if err := c.Unmarshal(mustMarshal(t, c, omits{H: "secret"}), &got, true); err != nil || got.H != "" {
			t.Errorf("a field that is tagged - was written: %+v, %v", got, err)
		}
	})
}

func TestCodecEqualBytes(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		labels := map[string]string{}
		for k := range strings.FieldsSeq("the quick brown fox jumps over a lazy dog") {
			labels[k] = k
		}
		first := mustMarshal(t, c, sample{Labels: labels})
		for range 20 {
			if again := mustMarshal(t, c, sample{Labels: labels}); string(again) != string(first) {
				t.Fatalf("%q, then %q", first, again)
			}
		}
	})
}

// What could not be read again is not written.
func TestCodecMarshalRefuses(t *testing.T) {
	type tree struct {
		Inner *tree `json:"inner,omitempty"`
	}
	eachCodec(t, func(t *testing.T, c store.Codec) {
		deep := &tree{}
		for range store.MaxDepth {
			deep = &tree{Inner: deep}
		}
		if _, err := c.Marshal(make([]int, store.MaxNodes)); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("too many values: %v", err)
		}
		if _, err := c.Marshal(deep); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("too deep: %v", err)
		}
		if _, err := c.Marshal(struct{ F func() }{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("a function: %v", err)
		}
	})
}

func TestMsgPackMarshalRefusesWhatIsNotText(t *testing.T) {
	t.Parallel()
	if _, err := store.MsgPack.Marshal(sample{Name: "\xff"}); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("%v, want it invalid", err)
	}
}

func TestCodecRefusesWrongTypes(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		for name, v := range map[string]any{
			"text for a number":     map[string]string{"count": "seven"},
			"number for text":       map[string]int{"name": 7},
			"text for a list":       map[string]string{"tags": "a"},
			"list for a map":        map[string][]int{"labels": {1}},
			"text for a time":       map[string]string{"at": "yesterday"},
			"a list for the struct": []string{"a"},
			"text for the struct":   "text",
			"text for a boolean":    map[string]string{"open": "yes"},
		} {
			var got sample
			if err := c.Unmarshal(mustMarshal(t, c, v), &got, false); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s: %+v, %v, want it invalid", name, got, err)
			}
		}
	})
}

func TestJSONRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		want       error
	}{
		{"nothing", "", store.ErrInvalid},
		{"white space", " ", store.ErrInvalid},
		{"no JSON", "{", store.ErrInvalid},
		{"two values", "{}{}", store.ErrInvalid},
		{"bytes after it", "{} x", store.ErrInvalid},
		{"name twice", `{"name":"a","name":"b"}`, store.ErrInvalid},
		{"name twice, once escaped", `{"name":"a","n\u0061me":"b"}`, store.ErrInvalid},
		{"name twice, deep inside", `{"parts":[{"number":1},{"number":1,"number":2}]}`, store.ErrInvalid},
		{"name twice around an object", `{"inner":{"inner":null},"inner":null}`, store.ErrInvalid},
		{"depth 33", strings.Repeat("[", 33) + strings.Repeat("]", 33), store.ErrInvalid},
		{"depth a million", strings.Repeat("[", 1<<20), store.ErrInvalid},
		{"50,001 values", "[" + strings.Repeat("1,", 49_999) + "1]", store.ErrTooLarge},
		{"not UTF-8", "\"\xff\"", store.ErrInvalid},
		{"string without end", `{"name":"a`, store.ErrInvalid},
		{"escape without end", `{"name":"a\`, store.ErrInvalid},
		{"closes too much", `]`, store.ErrInvalid},
		{"closes another", `[}`, store.ErrInvalid},
		{"number out of range", `{"ratio":1e309}`, store.ErrInvalid},
		{"fraction for an integer", `{"count":1.5}`, store.ErrInvalid},
		{"integer out of range", `{"count":9223372036854775808}`, store.ErrInvalid},
		{"not a number", `{"ratio":NaN}`, store.ErrInvalid},
		{"byte order mark", "\ufeff{}", store.ErrInvalid},
	}
	for _, test := range tests {
		for _, strict := range []bool{false, true} {
			var got sample
			if err := store.JSON.Unmarshal([]byte(test.data), &got, strict); !errors.Is(err, test.want) {
				t.Errorf("%s, strict %v: %v, want %v", test.name, strict, err, test.want)
			}
		}
	}
	if _, err := store.JSON.Marshal(math.NaN()); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("NaN as JSON: %v, want it invalid", err)
	}
}

func TestJSONAccepts(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		"{}", " {\n\t\"name\" : \"a\" } ", `{"name":"\"name\":{"}`, `{"parts":[{"number":1},{"number":1}]}`, `{"name":"\\","count":1}`,
		`{"labels":{"name":"a","Name":"b"},"name":"c"}`, `{"name":"\ud83d\udcb6"}`, `null`, `{"inner":null}`,
		`{"tags":[` + strings.Repeat(`"a",`, 49_000) + `"a"]}`,
	} {
		var got sample
		if err := store.JSON.Unmarshal([]byte(data), &got, true); err != nil {
			t.Errorf("%.80s: %v", data, err)
		}
	}
}

// panics is a type whose own decoding has a mistake.
type panics struct{}

func (panics) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (*panics) UnmarshalText([]byte) error  { panic("a mistake") }

func TestCodecSurvivesDecodersThatPanic(t *testing.T) {
	eachCodec(t, func(t *testing.T, c store.Codec) {
		type holds struct {
			P panics `json:"p"`
		}
		data := mustMarshal(t, c, map[string]string{"p": "x"})
		var got holds
		if err := c.Unmarshal(data, &got, false); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "a mistake") {
			t.Fatalf("%v, want it invalid, with the mistake", err)
		}
		mustMarshal(t, c, fullSample()) // and the codec is usable afterwards
	})
}

func FuzzJSON(f *testing.F) {
	full, err := store.JSON.Marshal(fullSample())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(full), "{}", `{"name":"a","name":"b"}`, `{"a`, "[[[[", `{"inner":{"inner":{}}}`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first sample
		var err error
		got := allocated(func() { err = store.JSON.Unmarshal(data, &first, false) })
		if limit := 16<<10 + 512*uint64(len(data)); got > limit {
			t.Fatalf("decoding %d bytes allocates %d", len(data), got)
		}
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
				t.Fatalf("%v has no kind", err)
			}
			return
		}
		again, err := store.JSON.Marshal(first)
		if err != nil {
			return // a year that RFC 3339 cannot print
		}
		var second sample
		if err := store.JSON.Unmarshal(again, &second, true); err != nil {
			t.Fatalf("%+v: %v", first, err)
		}
		// An empty map that is left out comes back as none: what counts is the encoding.
		if same, err := store.JSON.Marshal(second); err != nil || !bytes.Equal(again, same) {
			t.Fatalf("%s became %s, %v", again, same, err)
		}
	})
}
