package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// localImage is what make redis-image builds.
const localImage = "gavel-redis:test"

const redisPort = "6379/tcp"

// ownerLabel holds the id of the test process that a container belongs to.
const ownerLabel = "gavel.redistest.pid"

// dockered is a redis-server in a container of the local Docker daemon.
type dockered struct {
	port int
	c    *testcontainers.DockerContainer
}

// hasImage says whether a Docker daemon answers and has the image.
func hasImage(ctx context.Context, image string) bool {
	err := docker(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.ImageInspect(ctx, image)
		return err
	})
	return err == nil
}

// docker does one thing with the daemon and leaves no connection behind.
func docker(ctx context.Context, do func(context.Context, *client.Client) error) error {
	c, err := client.New(client.FromEnv)
	if err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	defer func() { _ = c.Close() }()
	if err := do(ctx, c); err != nil {
		return fmt.Errorf("docker: %w", err)
	}
	return nil
}

// startContainer runs an image that the daemon already has. The port on the
// host is chosen here, not by Docker, so that it is the same after a restart.
func startContainer(ctx context.Context, image string, o Options) (engine, error) {
	if !hasImage(ctx, image) {
		return nil, fmt.Errorf("no Docker daemon here has the image %s, and tests do not pull: run make redis-image or docker pull %s", image, image)
	}
	if err := noRyuk(); err != nil {
		return nil, err
	}
	if err := sweepContainers(ctx); err != nil {
		return nil, err
	}
	d := &dockered{port: freePort()}
	c, err := testcontainers.Run(ctx, image,
		testcontainers.WithEntrypoint("redis-server"),
		testcontainers.WithCmd(append([]string{"--port", "6379"}, o.args("/data")...)...),
		testcontainers.WithExposedPorts(redisPort),
		testcontainers.WithLabels(map[string]string{ownerLabel: strconv.Itoa(os.Getpid())}),
		testcontainers.WithConfigModifier(func(c *container.Config) {
			c.User = fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()) // so that the tests can delete its files
		}),
		testcontainers.WithHostConfigModifier(d.host(o)),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a container of %s: %w", image, err), testcontainers.TerminateContainer(c))
	}
	d.c = c
	return d, nil
}

// sweepContainers removes containers whose test process was killed before it
// could remove them itself.
func sweepContainers(ctx context.Context) error {
	return docker(ctx, func(ctx context.Context, c *client.Client) error {
		found, err := c.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", ownerLabel)})
		if err != nil {
			return err
		}
		for _, old := range found.Items {
			pid, err := strconv.Atoi(old.Labels[ownerLabel])
			if err == nil && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				continue
			}
			_, err = c.ContainerRemove(ctx, old.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) { // somebody else sweeps too
				return err
			}
		}
		return nil
	})
}

// noRyuk turns off testcontainers' own cleaner unless it was asked for: it is
// one more image to pull, and containers are removed here.
func noRyuk() error {
	const ryuk = "TESTCONTAINERS_RYUK_DISABLED"
	if os.Getenv(ryuk) != "" {
		return nil
	}
	if err := os.Setenv(ryuk, "true"); err != nil {
		return fmt.Errorf("set %s: %w", ryuk, err)
	}
	return nil
}

func (d *dockered) host(o Options) func(*container.HostConfig) {
	return func(h *container.HostConfig) {
		h.PortBindings = network.PortMap{
			network.MustParsePort(redisPort): {{
				HostIP:   netip.AddrFrom4([4]byte{127, 0, 0, 1}),
				HostPort: strconv.Itoa(d.port),
			}},
		}
		if o.AOF == "" {
			h.Tmpfs = map[string]string{"/data": "mode=1777"}
			return
		}
		h.Binds = []string{o.AOF + ":/data"}
	}
}

func (d *dockered) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(d.port)) }

func (d *dockered) start(ctx context.Context) error {
	return docker(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.ContainerStart(ctx, d.c.GetContainerID(), client.ContainerStartOptions{})
		return err
	})
}

func (d *dockered) kill() error {
	return d.do(func(ctx context.Context, c *client.Client, id string) error {
		gone := c.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
		if _, err := c.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: "KILL"}); err != nil {
			return err
		}
		select {
		case err := <-gone.Error:
			return err
		case <-gone.Result:
			return nil
		}
	})
}

func (d *dockered) freeze(frozen bool) error {
	return d.do(func(ctx context.Context, c *client.Client, id string) (err error) {
		if frozen {
			_, err = c.ContainerPause(ctx, id, client.ContainerPauseOptions{})
		} else {
			_, err = c.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
		}
		return err
	})
}

func (d *dockered) remove() error {
	return d.do(func(ctx context.Context, c *client.Client, id string) error {
		_, err := c.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	})
}

func (d *dockered) do(what func(ctx context.Context, c *client.Client, id string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	return docker(ctx, func(ctx context.Context, c *client.Client) error {
		return what(ctx, c, d.c.GetContainerID())
	})
}
