package access

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/annals-go/annals/gateway"
)

// A file that everybody may write is not believed.
func TestAFileThatEverybodyMayWrite(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("SKIPPED, NOT PASSED: files have no such modes here")
	}
	_, line, err := NewToken("ann", gateway.RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(name, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o640: true, 0o644: true, 0o666: false, 0o602: false, 0o777: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{TokenFile: name}); (err == nil) != good {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if _, err := New(Config{JWKS: name, Audience: "bank"}); err == nil || strings.Contains(err.Error(), "everybody") == good {
			t.Errorf("keys, mode %04o: %v", mode, err)
		}
	}
}
