package store_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

// Bytes whose check sum is right and whose layout is not: what a faulty writer
// would store. Each byte of a good commit is replaced by those that begin
// something else.
func TestDecodeSurvivesEveryWrongByte(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		for _, c := range fullCommits(t, codec) {
			survives(t, codec, store.Unsealed(codec, mustEncode(t, codec, c)))
		}
	})
}

func survives(t *testing.T, codec store.Codec, body []byte) {
	t.Helper()
	wrong := []byte{0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc5, 0xc6, 0xcc, 0xcd, 0xce, 0xcf, 0xd3, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xff, '"', '{', '}', ','}
	for i := range body {
		for _, b := range wrong {
			bad := bytes.Clone(body)
			bad[i] = b
			c, err := store.DecodeCommit(codec, store.Sealed(codec, bad), sequence)
			if err != nil {
				if !errors.Is(err, store.ErrDamaged) {
					t.Fatalf("byte %d as %#x: %v is not damage", i, b, err)
				}
				continue
			}
			for range c.Recorded() { // every index is in range
			}
		}
	}
	for n := range body {
		if _, err := store.DecodeCommit(codec, store.Sealed(codec, body[:n]), sequence); !errors.Is(err, store.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v, want damage", n, len(body), err)
		}
	}
}

func TestDecodeCommitRefusesLayouts(t *testing.T) {
	t.Parallel()
	good := string(store.Unsealed(store.JSON, mustEncode(t, store.JSON, fullCommit(t, store.JSON))))
	hash := store.HashOf([]byte("before")).String()
	for name, change := range map[string][2]string{
		"another format":       {`"format":1`, `"format":2`},
		"hash too short":       {hash, hash[2:]},
		"hash too long":        {hash, hash + "00"},
		"hash not hexadecimal": {hash, strings.Repeat("x", len(hash))},
		"body hash":            {`"body_hash":"`, `"body_hash":"x`},
		"index out of range":   {`"command":1`, `"command":9`},
		"negative index":       {`"command":0`, `"command":-1`},
		"time":                 {"2012-03-01T", "2012-13-01T"},
		"commit id":            {"0197b6a4", "x197b6a4"},
		"no commands":          {`"commands"`, `"orders"`},
		"hash after nothing":   {`"version":300,"sequence":70000`, `"version":0,"sequence":0`},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s: %q is not there", name, change[0])
		}
		if c, err := store.DecodeCommit(store.JSON, store.Sealed(store.JSON, []byte(bad)), sequence); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %+v, %v, want damage", name, c, err)
		}
	}
	packed := store.Unsealed(store.MsgPack, mustEncode(t, store.MsgPack, fullCommit(t, store.MsgPack)))
	packed[1] = 4
	if _, err := store.DecodeCommit(store.MsgPack, store.Sealed(store.MsgPack, packed), sequence); !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "format") {
		t.Errorf("another format: %v, want damage that says so", err)
	}
	if _, err := store.DecodeCommit(store.MsgPack, make([]byte, store.MaxCommitBytes+1), sequence); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("too large: %v, want damage", err)
	}
}

// A value may hold times where its type does not say so.
func TestCodecTimesInInterfacesAreUTC(t *testing.T) {
	t.Parallel()
	type holds struct {
		Any any            `json:"any"`
		Map map[string]any `json:"map"`
	}
	at := time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.FixedZone("abroad", 3600))
	data := mustMarshal(t, store.MsgPack, holds{Any: at, Map: map[string]any{"at": at, "none": nil, "list": []any{at}}})
	var got holds
	if err := store.MsgPack.Unmarshal(data, &got, true); err != nil {
		t.Fatal(err)
	}
	list, ok := got.Map["list"].([]any)
	if got.Any != at.UTC() || got.Map["at"] != at.UTC() || !ok || list[0] != at.UTC() {
		t.Fatalf("%+v, want all times as %v", got, at.UTC())
	}
}
