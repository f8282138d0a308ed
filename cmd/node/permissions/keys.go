package permissions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
)

// AddKeys gives each user its key: that of the seed in dir, USER.nk, which is made where there is none.
func (s *Set) AddKeys(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of keys: %w", err)
	}
	for i := range s.Users {
		u := &s.Users[i]
		u.Seed = filepath.Join(dir, u.Name+".nk")
		key, err := seedIn(u.Seed)
		if err != nil {
			return fmt.Errorf("key of user %s: %w", u.Name, err)
		}
		u.Key = key
	}
	return nil
}

// seedIn returns the public key of the seed in a file, which is made if it is not
// there: printing again changes nobody's key.
func seedIn(path string) (string, error) {
	seed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		seed, err = newSeed(path)
	}
	if err != nil {
		return "", err
	}
	keys, err := nkeys.ParseDecoratedNKey(seed)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	defer keys.Wipe()
	public, err := keys.PublicKey()
	if err == nil && !nkeys.IsValidPublicUserKey(public) {
		err = errors.New("it is not a user's")
	}
	return public, err
}

func newSeed(path string) ([]byte, error) {
	keys, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	seed, err := keys.Seed()
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(append(seed, '\n'))
	return seed, errors.Join(err, file.Close())
}

// publicKey is the key, or what is to be put in its place.
func (u User) publicKey() string {
	if u.Key != "" {
		return u.Key
	}
	return "PUBLIC_KEY_OF_" + strings.ToUpper(u.Name)
}

func (u User) seedFile() string {
	if u.Seed != "" {
		return u.Seed
	}
	return "SEED_OF_" + strings.ToUpper(u.Name)
}
