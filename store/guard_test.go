package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store"
)

func TestGuardMsgPackAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"nil":                          "\xc0",
		"booleans":                     "\x92\xc2\xc3",
		"fixed integers":               "\x92\x7f\xe0",
		"unsigned integers":            "\x94\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
		"signed integers":              "\x94\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
		"floats, not a number too":     "\x92\xca\x7f\xc0\x00\x00\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
		"strings":                      "\x94\xa1a\xd9\x01a\xda\x00\x01a\xdb\x00\x00\x00\x01a",
		"bytes that are no text":       "\x93\xc4\x01\xff\xc5\x00\x01\xff\xc6\x00\x00\x00\x01\xff",
		"empty containers":             "\x94\x90\x80\xdc\x00\x00\xdf\x00\x00\x00\x00",
		"a map":                        "\x82\xa1a\x01\xa1b\x02",
		"equal keys in different maps": "\x92\x81\xa1a\x01\x81\xa1a\x01",
		"an inner key like an outer":   "\x82\xa1a\x81\xa1a\x01\xa1b\x02",
		"keys that are numbers":        "\x82\x01\x01\xff\x01",
		"a key that is text and one that is its length": "\x82\x01\x01\xa11\x01",
		"timestamps":     "\x93\xd6\xff\x00\x00\x00\x01\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x01\xc7\x0c\xff\x3b\x9a\xc9\xff\x00\x00\x00\x00\x00\x00\x00\x00",
		"depth 32":       strings.Repeat("\x91", 32) + "\xc0",
		"49,999 in one":  "\xdc\xc3\x4f" + strings.Repeat("\x01", 49_999),
		"many keys":      manyKeys(1000, func(i int) int { return i }),
		"1,000 in depth": strings.Repeat("\x91", 31) + "\xdc\x03\xe8" + strings.Repeat("\x01", 1000),
	}
	for name, data := range tests {
		if err := store.GuardMsgPack([]byte(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// manyKeys is a map of n entries whose keys key makes.
func manyKeys(n int, key func(i int) int) string {
	var data strings.Builder
	data.Write([]byte{0xde, byte(n >> 8), byte(n)})
	for i := range n {
		fmt.Fprintf(&data, "\xa4%04d\x01", key(i))
	}
	return data.String()
}

func TestGuardMsgPackRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, data string
		want       error
	}{
		{"nothing", "", store.ErrInvalid},
		{"the code that is never used", "\xc1", store.ErrInvalid},
		{"array that declares 4e9", "\xdd\xff\xff\xff\xff", store.ErrInvalid},
		{"map that declares 4e9", "\xdf\xff\xff\xff\xff", store.ErrInvalid},
		{"map that declares more than half", "\x82\xa1a\x01", store.ErrInvalid},
		{"bytes that declare 4e9", "\xc6\xff\xff\xff\xff", store.ErrInvalid},
		{"string longer than the body", "\xd9\x05abcd", store.ErrInvalid},
		{"length cut off", "\xdb\x00\x00", store.ErrInvalid},
		{"array of one without it", "\x91", store.ErrInvalid},
		{"integer cut off", "\xcf\x00", store.ErrInvalid},
		{"float cut off", "\xcb\x00", store.ErrInvalid},
		{"depth 33", strings.Repeat("\x91", 33) + "\xc0", store.ErrInvalid},
		{"depth 33 in maps", strings.Repeat("\x81\xa1a", 33) + "\xc0", store.ErrInvalid},
		{"depth a million", strings.Repeat("\x91", 1<<20), store.ErrInvalid},
		{"50,001 values", "\xdc\xc3\x50" + strings.Repeat("\x01", 50_000), store.ErrTooLarge},
		{"50,001 empty arrays", "\xdc\xc3\x50" + strings.Repeat("\x90", 50_000), store.ErrTooLarge},
		{"bytes after it", "\x01\x02", store.ErrInvalid},
		{"bytes after a map", "\x80\x00", store.ErrInvalid},
		{"key twice", "\x82\xa1a\x01\xa1a\x02", store.ErrInvalid},
		{"key twice, once as bytes", "\x82\xa1a\x01\xc4\x01a\x02", store.ErrInvalid},
		{"key twice, once longer", "\x82\xa1a\x01\xd9\x01a\x02", store.ErrInvalid},
		{"number as key twice", "\x82\x01\x01\xcc\x01\x02", store.ErrInvalid},
		{"negative key twice", "\x82\xff\x01\xd0\xff\x02", store.ErrInvalid},
		{"key twice, signed and unsigned", "\x82\x01\x01\xd0\x01\x02", store.ErrInvalid},
		{"key twice around an inner map", "\x82\xa1a\x81\xa1a\x01\xa1a\x02", store.ErrInvalid},
		{"key twice in an inner map", "\x81\xa1a\x82\xa1b\x01\xa1b\x02", store.ErrInvalid},
		{"last of 1,000 keys again", manyKeys(1000, func(i int) int { return i % 999 }), store.ErrInvalid},
		{"18 keys, the first again", manyKeys(18, func(i int) int { return i % 17 }), store.ErrInvalid},
		{"empty key twice", "\x82\xa0\x01\xa0\x02", store.ErrInvalid},
		{"key that is nil", "\x81\xc0\x01", store.ErrInvalid},
		{"key that is a boolean", "\x81\xc2\x01", store.ErrInvalid},
		{"key that is a float", "\x81\xca\x00\x00\x00\x00\x01", store.ErrInvalid},
		{"key that is an array", "\x81\x90\x01", store.ErrInvalid},
		{"key that is a time", "\x81\xd6\xff\x00\x00\x00\x01\x01", store.ErrInvalid},
		{"text that is not UTF-8", "\xa1\xff", store.ErrInvalid},
		{"long text that is not UTF-8", "\xd9\x02\xc3\x28", store.ErrInvalid},
		{"key that is not UTF-8", "\x81\xa1\xff\x01", store.ErrInvalid},
		{"extension", "\xd4\x01\x00", store.ErrInvalid},
		{"extension of another type", "\xd6\x01\x00\x00\x00\x00", store.ErrInvalid},
		{"timestamp of 16 bytes", "\xd8\xff" + strings.Repeat("\x00", 16), store.ErrInvalid},
		{"timestamp of 5 bytes", "\xc7\x05\xff\x00\x00\x00\x00\x00", store.ErrInvalid},
		{"timestamp of 2^32-1 bytes", "\xc9\xff\xff\xff\xff\xff", store.ErrInvalid},
		{"timestamp cut off", "\xd7\xff\x00\x00", store.ErrInvalid},
		{"timestamp with 1e9 nanoseconds", "\xc7\x0c\xff\x3b\x9a\xca\x00\x00\x00\x00\x00\x00\x00\x00\x00", store.ErrInvalid},
		{"short timestamp with 1e9 nanoseconds", "\xd7\xff\xee\x6b\x28\x00\x00\x00\x00\x00", store.ErrInvalid},
	}
	for _, test := range tests {
		if err := store.GuardMsgPack([]byte(test.data)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// sample uses every kind of value that events are likely to have.
type sample struct {
	Name   string            `json:"name"`
	Count  int               `json:"count"`
	Large  uint64            `json:"large"`
	Ratio  float64           `json:"ratio"`
	Open   bool              `json:"open"`
	At     time.Time         `json:"at"`
	Took   time.Duration     `json:"took"`
	Raw    []byte            `json:"raw"`
	Tags   []string          `json:"tags"`
	Labels map[string]string `json:"labels"`
	Inner  *sample           `json:"inner,omitempty"`
	Parts  []part            `json:"parts,omitempty"`
	Counts map[int]int       `json:"counts,omitempty"`
}

type part struct {
	Number int `json:"number"`
}

func fullSample() sample {
	return sample{
		Name: "é <&>", Count: -7, Large: 1<<64 - 1, Ratio: 0.1, Open: true,
		At:   time.Date(2012, 3, 1, 9, 30, 15, 123456789, time.UTC),
		Took: time.Minute, Raw: []byte{0, 255}, Tags: []string{"a", "b"},
		Labels: map[string]string{"k": "v"}, Inner: &sample{Name: "inner", At: time.Unix(0, 0).UTC()},
		Parts: []part{{1}, {2}}, Counts: map[int]int{-1: 1, 300: 2},
	}
}

func TestGuardMsgPackRefusesEveryPrefix(t *testing.T) {
	t.Parallel()
	data, err := store.MsgPack.Marshal(fullSample())
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if err := store.GuardMsgPack(data[:n]); !errors.Is(err, store.ErrInvalid) {
			t.Fatalf("%d of %d bytes: %v, want it refused", n, len(data), err)
		}
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzGuardMsgPack(f *testing.F) {
	full, err := store.MsgPack.Marshal(fullSample())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(full), "\xc1", "\xdd\xff\xff\xff\xff", "\x82\xa1a\x01\xa1a\x02", "\xd6\xff\x00\x00\x00\x01",
		"\x81\xa5parts\x92\x81\xa6number\x01\x80", "\x81\xa6counts\x81\x01\x02", strings.Repeat("\x91", 40),
		"\x81\xa5inner\x81\xa5inner\x80", "\x81\xa2at\x92\x01\x02", "\x81\xa2at\xa3now",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := store.GuardMsgPack(data); err != nil {
			if !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) {
				t.Fatalf("%v has no kind", err)
			}
			return
		}
		// What the guard lets through a plain decoder must survive.
		limit := 8<<10 + 512*uint64(len(data))
		for _, target := range []func() any{func() any { return new(sample) }, func() any { return new(any) }} {
			got := allocated(func() {
				d := msgpack.NewDecoder(strings.NewReader(string(data)))
				d.SetCustomStructTag("json")
				_ = d.Decode(target())
			})
			if got > limit {
				t.Fatalf("decoding %d bytes into %v allocates %d", len(data), reflect.TypeOf(target()), got)
			}
		}
		for _, strict := range []bool{false, true} {
			var v sample
			if err := store.MsgPack.Unmarshal(data, &v, strict); err != nil && !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("%v has no kind", err)
			}
		}
	})
}
