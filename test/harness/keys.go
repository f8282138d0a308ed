package harness

import (
	"os"
	"path/filepath"

	"github.com/annals-go/annals/store/privacy"
)

// Kek makes a wrapping key in a file of its own in a directory, and returns what --kek says of it.
func Kek(dir string) (flag string, err error) {
	path := filepath.Join(dir, "kek")
	return "file:" + path, privacy.GenerateFile(path, "k1")
}

// Keyring is one whose keys are in memory, and go with the process: for views whose
// documents may have personal data, over a history that has none.
func Keyring() (*privacy.Keyring, error) {
	dir, err := os.MkdirTemp("", "annals-kek-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if _, err := Kek(dir); err != nil {
		return nil, err
	}
	wrapper, err := privacy.OpenFile(filepath.Join(dir, "kek"))
	if err != nil {
		return nil, err
	}
	return privacy.NewKeyring(privacy.KeyringConfig{Keys: privacy.NewMemory(), Wrapper: wrapper})
}
