package kube

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/server/v3/embed"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

var (
	binary   = flag.String("apiserver", "", "kube-apiserver")
	helmPath = flag.String("helm", "", "helm")
	operator = flag.String("operator", "", "folder of the Prometheus operator's module")
	keda     = flag.String("keda", "", "folder of KEDA's module")
)

const (
	patience = 60 * time.Second
	looks    = 100 * time.Millisecond
	root     = "../../.."
)

// server is a kube-apiserver that runs, and how its administrator asks it.
type server struct {
	*kubernetes.Clientset
	t          *testing.T
	port       string
	ca         []byte
	kubeconfig string
	dynamic    dynamic.Interface
	mapper     *restmapper.DeferredDiscoveryRESTMapper
}

func start(t *testing.T) *server {
	t.Helper()
	if *binary == "" {
		t.Skip("no kube-apiserver given; run make kube")
	}
	dir := t.TempDir()
	s := &server{t: t, port: freePort(t), kubeconfig: filepath.Join(dir, "kubeconfig")}
	chain, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	require.NoError(t, err)
	s.ca = chain
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	accounts, err := keyutil.MarshalPrivateKeyToPEM(signing)
	require.NoError(t, err)
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	accountKey := file("accounts.key", accounts)
	s.run(exec.Command(*binary, "--etcd-servers="+etcd(t), "--bind-address=127.0.0.1", "--secure-port="+s.port,
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
		"--tls-cert-file="+file("tls.crt", chain), "--tls-private-key-file="+file("tls.key", key), "--authorization-mode=RBAC",
		"--token-auth-file="+file("tokens", []byte("admin,admin,admin,system:masters\n")), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+accountKey, "--service-account-signing-key-file="+accountKey))
	admin := s.as("admin")
	s.Clientset, err = kubernetes.NewForConfig(admin)
	require.NoError(t, err)
	s.dynamic, err = dynamic.NewForConfig(admin)
	require.NoError(t, err)
	s.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(s.Discovery()))
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: admin.Host, CertificateAuthorityData: chain}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"a": {Token: "admin"}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "a"}},
		CurrentContext: "x",
	}, s.kubeconfig))
	require.Eventually(t, func() bool {
		_, err := s.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context())
		return err == nil
	}, patience, looks, "kube-apiserver is not ready")
	return s
}

// run runs kube-apiserver until the test ends, and shows its last words when that
// failed.
func (s *server) run(cmd *exec.Cmd) {
	s.t.Helper()
	log := &tail{}
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("kube-apiserver ended with:\n%s", log)
		}
	})
}

// as is somebody who has a token.
func (s *server) as(token string) *rest.Config {
	return &rest.Config{
		Host: "https://127.0.0.1:" + s.port, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.ca}, QPS: -1,
	}
}

// etcd starts one and returns where it is.
func etcd(t *testing.T) string {
	t.Helper()
	anywhere := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel = t.TempDir(), "panic" // it calls its own end an error
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls, cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anywhere, anywhere, anywhere, anywhere
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true
	e, err := embed.StartEtcd(cfg)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(patience):
		require.Fail(t, "etcd is not ready")
	}
	return "http://" + e.Clients[0].Addr().String()
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	require.NoError(t, err)
	return port
}

// apply applies every object of a manifest, as kubectl apply --server-side does. A
// field that is not known is an error.
func (s *server) apply(path string) (all []*unstructured.Unstructured) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(s.t, err)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(o)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(s.t, err, path)
		if len(o.Object) == 0 {
			continue
		}
		got, err := s.resource(o.GroupVersionKind(), o.GetNamespace()).Apply(s.t.Context(), o.GetName(), o, meta.ApplyOptions{FieldManager: "kube"})
		require.NoError(s.t, err, "%s: %s %s", path, o.GetKind(), o.GetName())
		all = append(all, got)
	}
}

func (s *server) resource(kind schema.GroupVersionKind, namespace string) dynamic.ResourceInterface {
	s.t.Helper()
	m, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	require.NoError(s.t, err)
	if namespace == "" {
		return s.dynamic.Resource(m.Resource)
	}
	return s.dynamic.Resource(m.Resource).Namespace(namespace)
}

// helm runs it, and returns what it says.
func (s *server) helm(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(*helmPath, args...)
	home := s.t.TempDir()
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "helm %v: %s", args, out)
	return string(out)
}

// tail is the last of what was written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	w.text = w.text[max(0, len(w.text)-8000):]
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("…%s", w.text)
}
