package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is a pair of files that may be replaced while the process runs.
type certificate struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	looked time.Time // when the files were last looked at
	stamp  string    // what they looked like when they were loaded
}

// lookAgain is how long a certificate is used without a look at its files.
const lookAgain = 5 * time.Second

// get returns the certificate that the files hold; one that cannot be loaded does
// not replace one that was.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < lookAgain {
		return c.loaded, nil
	}
	c.looked = time.Now()
	stamp, err := stampOf(c.cert, c.key)
	if err == nil && stamp != c.stamp {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.loaded, c.stamp = &pair, stamp
		}
	}
	if c.loaded != nil {
		return c.loaded, nil
	}
	return nil, err
}

func stampOf(names ...string) (stamp string, err error) {
	for _, name := range names {
		if name == "" {
			return "", errors.New("both a certificate and its key are needed")
		}
		info, err := os.Stat(name)
		if err != nil {
			return "", err
		}
		stamp += fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size(), " ")
	}
	return stamp, nil
}
