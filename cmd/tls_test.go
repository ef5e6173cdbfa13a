package cmd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rtfm-si/gavel/client"
	"github.com/rtfm-si/gavel/internal/redistest"
)

// authority is a CA of the test, with its certificate in a file.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	a := authority{t: t, dir: t.TempDir()}
	a.key = newSigner(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(raw)
	require.NoError(t, err)
	a.write("ca.pem", "CERTIFICATE", raw)
	return a
}

func newSigner(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func (a authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a authority) write(name, kind string, raw []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600))
}

// issue writes name.pem and name.key: good for a server on this machine, and to
// be shown by a client.
func (a authority) issue(name string, serial int64) {
	a.t.Helper()
	key := newSigner(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	der, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".key", "EC PRIVATE KEY", der)
	a.write(name+".pem", "CERTIFICATE", raw)
}

// config is a client's that trusts the authority, with a certificate of its own
// or none.
func (a authority) config(name string) *tls.Config {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	c := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.file(name+".pem"), a.file(name+".key"))
		require.NoError(a.t, err)
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}

// freePort is one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	return port
}

// Redis and the API ask everybody for a certificate, and show one that is
// checked. The password comes from a file. A renewed certificate is taken up
// without a restart.
func TestAFleetOverTLS(t *testing.T) {
	t.Parallel()
	if os.Getenv(redistest.EnvImage) != "" {
		t.Skip("its Redis reads certificates of this machine's files")
	}
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	for i, name := range []string{"redis", "api", "process", "person"} {
		ours.issue(name, int64(i+10))
	}
	theirs.issue("stranger", 20)

	f := newFleet(t, t.TempDir(), 1)
	t.Cleanup(f.end)
	port := freePort(t)
	f.breakOut("", []string{
		"--tls-port", port, "--tls-cert-file", ours.file("redis.pem"), "--tls-key-file", ours.file("redis.key"),
		"--tls-ca-cert-file", ours.file("ca.pem"), "--tls-auth-clients", "yes",
	})
	secret := filepath.Join(f.dir, "redis.password")
	require.NoError(t, os.WriteFile(secret, []byte(passwordOfUsers+"\n"), 0o600))
	over := func(user, ca, cert string) []string {
		return []string{
			"GAVEL_REDIS_URL=rediss://" + user + "@127.0.0.1:" + port, "GAVEL_REDIS_PASSWORD_FILE=" + secret, "GAVEL_REDIS_CA=" + ca,
			"GAVEL_REDIS_CERT=" + cert + ".pem", "GAVEL_REDIS_CERT_KEY=" + cert + ".key",
		}
	}
	api := []string{"GAVEL_TLS_CERT=" + ours.file("api.pem"), "GAVEL_TLS_KEY=" + ours.file("api.key"), "GAVEL_TLS_CLIENT_CA=" + ours.file("ca.pem")}
	unset := func(string) string { return "" }
	good := over("dispatcher", ours.file("ca.pem"), ours.file("process"))
	require.NoError(t, f.startDispatcher("dispatcher", unset, append(good, api...)...))
	require.NoError(t, f.startWorker("w1", unset, over("worker", ours.file("ca.pem"), ours.file("process"))...))

	// A job runs and is killed over it all.
	at := "https" + f.base[len("http"):]
	alice := func(c *tls.Config) *client.Client {
		cl, err := client.New(at, client.WithKey(secretOf("alice")), client.WithRetries(1, 0),
			client.WithHTTPClient(&http.Client{Transport: &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}}))
		require.NoError(t, err)
		return cl
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	person := alice(ours.config("person"))
	done, err := person.Submit(ctx, client.Submission{Kind: "canary", Input: map[string]any{"steps": 1000, "step_ms": 20, "calls_per_step": 1, "call_url": f.witness.url + "/call"}})
	require.NoError(t, err)
	require.True(t, f.witness.reached(done.ID, "s2-c1", 1))
	r, err := person.Kill(ctx, done.ID, client.Kill{Reason: "over TLS too", Wait: 5 * time.Second})
	require.NoError(t, err)
	require.Equal(t, client.Stopped, r.Verdict)

	// Without a certificate, with a stranger's, or over plain HTTP nobody gets in.
	none := ours.config("")
	stranger := ours.config("")
	pair, err := tls.LoadX509KeyPair(theirs.file("stranger.pem"), theirs.file("stranger.key"))
	require.NoError(t, err)
	stranger.Certificates = []tls.Certificate{pair}
	for what, c := range map[string]*tls.Config{"none": none, "a stranger's": stranger} {
		_, err = alice(c).Job(ctx, done.ID)
		require.Error(t, err, what)
		require.NotContains(t, err.Error(), "urn:gavel", "%s: it does not come as far as the door", what)
	}
	_, err = f.as("alice").Job(ctx, done.ID)
	require.Error(t, err)

	// Nor does a process that does not know Redis's authority, or has no certificate.
	for _, c := range []struct{ name, want string }{{"authority", "unknown authority"}, {"certificate", "certificate"}} {
		vars := over("worker", ours.file("ca.pem"), ours.file("process"))
		if c.name == "authority" {
			vars = over("worker", theirs.file("ca.pem"), ours.file("process"))
		} else {
			vars = vars[:3]
		}
		_, err := f.start("without-"+c.name, "worker", f.environment("worker", unset, append(vars, "GAVEL_WORKER_ID=x")))
		require.NoError(t, err)
		p := f.processes["without-"+c.name]
		_, err = p.said("redis does not answer yet", "error")
		require.NoError(t, err)
		require.Contains(t, p.log.text(), c.want)
		require.NotContains(t, p.log.text(), passwordOfUsers)
		p.end()
	}

	// The API's certificate is renewed under it.
	serial := func() string {
		conn, err := tls.Dial("tcp", at[len("https://"):], ours.config("person"))
		if err != nil {
			return err.Error()
		}
		defer func() { _ = conn.Close() }()
		return fmt.Sprint(conn.ConnectionState().PeerCertificates[0].SerialNumber)
	}
	require.Equal(t, "11", serial())
	ours.issue("api", 99)
	require.NoError(t, eventually(func(context.Context) error {
		if s := serial(); s != "99" {
			return fmt.Errorf("the certificate is %s", s)
		}
		return nil
	}))
}
