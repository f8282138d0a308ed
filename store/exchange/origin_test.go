package exchange_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
)

// Whoever makes a namespace for a file is told how the values in it were stored, and
// reads all of it afterwards.
func TestOriginOf(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		for _, form := range []exchange.Form{exchange.JSONLines, exchange.CloudEvents} {
			file := bytes.Join(lines(t, newWriter(t, codec).fill().log, form), []byte("\n"))
			o, whole := exchange.OriginOf(form, bytes.NewReader(file))
			if o.Codec != codec || !o.KeepsCommands {
				t.Errorf("%s, form %d: %+v", codec.Name(), form, o)
			}
			if got, err := io.ReadAll(whole); err != nil || !bytes.Equal(got, file) {
				t.Errorf("%s, form %d: %d bytes of %d, %v", codec.Name(), form, len(got), len(file), err)
			}
		}
	}
	for _, file := range []string{"", "\n", "hello", "hello\nworld\n", `{"stream":"order/1","version":1}`, strings.Repeat("x", exchange.MaxLineBytes+1) + "\n{}"} {
		o, whole := exchange.OriginOf(exchange.JSONLines, strings.NewReader(file))
		got, err := io.ReadAll(whole)
		if o.Codec != nil || o.KeepsCommands || string(got) != file || err != nil {
			t.Errorf("%.20q: %+v, %d bytes of %d, %v", file, o, len(got), len(file), err)
		}
	}
}
