package store_test

import (
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

// Keys of maps may be anything, and of any length: each place has a path of its own,
// of at most a few hundred bytes.
func TestPaths(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 5000)
	s := store.SealedForm(store.MsgPack, []byte("~\xc0"))
	item := func(key string) string { return key + string(s) }
	text := func(name string) string {
		data, err := store.MsgPack.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	keys := []string{
		text("a"), text("a.b"), text(""), text("a\nb"), text("[1]"), text("é"), text(long), text(long + "x"), text(strings.Repeat("a", 65)),
		"\xc4\x01z", "\xc5\x00\x41" + strings.Repeat("z", 65), "\x05", "\xfb", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
	}
	data := "\xde\x00" + string(rune(len(keys)+1))
	for _, key := range keys {
		data += item(key)
	}
	data += text("deep")
	for range 20 {
		data += "\x81" + text(strings.Repeat("n", 40))
	}
	data += string(s)
	want := map[string]bool{
		"a": true, `["a.b"]`: true, `[""]`: true, `["a\nb"]`: true, `["[1]"]`: true, `["é"]`: true, "[x7a]": true, "[5]": true, "[-5]": true, "[18446744073709551615]": true,
	}
	seen, bytes := map[string]bool{}, 0
	_, personal, _, err := store.OpenSealed(store.MsgPack, []byte(data), opener())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range personal {
		if seen[p.Path] || strings.Contains(p.Path, "\n") {
			t.Errorf("path %q is there twice, or has a line break", p.Path)
		}
		seen[p.Path] = true
		delete(want, p.Path)
		bytes += len(p.Path)
	}
	if len(want) > 0 || len(personal) != len(keys)+1 || bytes > 1000 {
		t.Errorf("%d bytes of paths lack %v: %v", bytes, want, seen)
	}
}
