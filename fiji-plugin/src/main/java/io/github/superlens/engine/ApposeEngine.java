package io.github.superlens.engine;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apposed.appose.Appose;
import org.apposed.appose.NDArray;
import org.apposed.appose.Service;
import org.apposed.appose.TaskEvent;

import io.github.superlens.engine.EngineException.Kind;

/**
 * The engine in a process of its own: a Python worker that is started by the first call, stays warm, and is started anew after a crash.
 * <p>
 * Pixels are copied once into shared memory and once back. A request to stop is passed on; a worker that has not stopped after ten seconds is
 * ended. The worker ends with this Java machine. Calls may overlap.
 */
public final class ApposeEngine implements Engine {

	private static final long POLL_MS = 50;
	private static final long GRACE_MS = 10_000;
	private static final long LAST_WORDS_MS = 2_000;
	private static final int TAIL_LINES = 30;
	private static final Pattern EXIT_CODE = Pattern.compile("exit code (-?\\d+)");
	private static final String INIT = "from superlens.bridge.worker import guard\nguard()\n";
	private static final String MAIN = "import appose.python_worker; appose.python_worker.main()";

	private final PythonEnvironment python;
	private Thread atExit;
	private Service service;

	/** @param python where the worker runs; it is started by the first call */
	public ApposeEngine(PythonEnvironment python) {
		this.python = python;
	}

	/**
	 * Builds the environment that the setup offers: downloads Python, superlens and TensorFlow into {@link PythonEnvironment#builtFolder}.
	 * Takes minutes; when stopped, what was downloaded is kept for the next try.
	 *
	 * @param requirements lines of a requirements file
	 * @param progress hears what is downloaded, and is asked whether to stop
	 * @throws EngineException when it cannot be built, with the last lines of the installer
	 */
	public static void build(String requirements, Progress progress) throws EngineException {
		final List<String> said = Collections.synchronizedList(new ArrayList<>());
		final CountDownLatch done = new CountDownLatch(1);
		final Exception[] failure = new Exception[1];
		final Thread builder = new Thread(() -> {
			try {
				Appose.uv().python("3.12").content(requirements).scheme("requirements.txt").base(PythonEnvironment.builtFolder()) //
					.subscribeProgress((title, current, maximum) -> progress.update(title, current, maximum, null)) //
					.subscribeOutput(said::add).subscribeError(line -> {
						said.add(line);
						progress.update(line.trim(), 0, 0, null);
					}).build();
			}
			catch (IOException | RuntimeException wrong) {
				failure[0] = wrong;
			}
			done.countDown();
		}, "superlens setup");
		builder.start();
		while (!waited(done, POLL_MS)) if (progress.isCanceled()) builder.interrupt();
		if (progress.isCanceled()) throw EngineException.cancelled();
		if (failure[0] != null) throw new EngineException(Kind.UNAVAILABLE, "The Python environment cannot be built: " + failure[0].getMessage() +
			". It needs the internet; behind a firewall, choose an existing Python instead.", tail(new ArrayList<>(said)));
	}

	/** Whether this engine works with that Python. */
	boolean uses(PythonEnvironment other) {
		return python.equals(other);
	}

	@Override
	public String call(String requestJson, ByteBuffer[] in, ByteBuffer[] out, Progress progress) throws EngineException {
		final Service running = whole();
		final List<NDArray> blocks = new ArrayList<>();
		try {
			final Map<String, Object> inputs = new HashMap<>();
			inputs.put("request", requestJson);
			final String ins = share(in, "in", true, inputs, blocks);
			final String outs = share(out, "out", false, inputs, blocks);
			final String script = "from superlens.bridge.worker import serve\nserve(task, request, [" + ins + "], [" + outs + "])\n";
			final Service.Task task = finished(running, running.task(script, inputs), progress);
			for (int i = 0; i < out.length; i++) copy(blocks.get(in.length + i).buffer(), out[i]);
			return String.valueOf(task.outputs.get("response"));
		}
		catch (IOException broken) {
			throw crashed(running, String.valueOf(broken.getMessage()));
		}
		finally {
			blocks.forEach(NDArray::close);
		}
	}

	@Override
	public String describe() {
		return "Python worker " + python;
	}

	@Override
	public synchronized void close() {
		kill();
		try {
			if (atExit != null) Runtime.getRuntime().removeShutdownHook(atExit);
			atExit = null;
		}
		catch (IllegalStateException exiting) {
			return; // the hook is running already, and does the same
		}
	}

	/** The worker; refuses in words where the plugin's jar was installed without the libraries beside it. */
	private Service whole() throws EngineException {
		try {
			return running();
		}
		catch (NoClassDefFoundError lacking) {
			throw new EngineException(Kind.UNAVAILABLE, "A library of the plugin is missing (" + String.valueOf(lacking.getMessage()).replace('/', '.') +
				"). Unpack the whole archive anew: superlens-fiji into the folder of Fiji, superlens-imagej into that of plain ImageJ.", lacking);
		}
	}

	private synchronized Service running() throws EngineException {
		if (service != null && service.isAlive()) return service;
		python.check();
		final File home = python.executable().getParentFile();
		service = new Service(home, python.variables(), python.executable().getPath(), "-c", MAIN).init(INIT);
		try {
			start(service);
		}
		catch (IOException broken) {
			throw new EngineException(Kind.UNAVAILABLE, "Python cannot be started: " + broken.getMessage() + ".", broken);
		}
		endWithJava();
		return service;
	}

	/** Starts a worker from a daemon thread: those that Appose makes to listen to it are daemons then too, and Java ends after a macro without a screen. */
	private static void start(Service made) throws IOException, EngineException {
		final FutureTask<Service> starting = new FutureTask<>(made::start);
		final Thread thread = new Thread(starting, "superlens worker start");
		thread.setDaemon(true);
		thread.start();
		try {
			starting.get();
		}
		catch (ExecutionException failed) {
			if (failed.getCause() instanceof IOException) throw (IOException) failed.getCause();
			if (failed.getCause() instanceof Error) throw (Error) failed.getCause();
			throw (RuntimeException) failed.getCause();
		}
		catch (InterruptedException stopped) {
			Thread.currentThread().interrupt();
			throw EngineException.cancelled();
		}
	}

	/** A worker that is started after {@link #close} ends with Java too. */
	private void endWithJava() {
		if (atExit != null) return;
		final Thread hook = new Thread(this::kill, "superlens worker at exit");
		Runtime.getRuntime().addShutdownHook(hook);
		atExit = hook;
	}

	private synchronized void kill() {
		if (service != null && service.isAlive()) service.kill();
		service = null;
	}

	/** Runs a task to its end, passing on the progress one way and the wish to stop the other way. */
	private Service.Task finished(Service running, Service.Task task, Progress progress) throws EngineException {
		final CountDownLatch done = new CountDownLatch(1);
		task.listen(event -> {
			if (event.responseType == Service.ResponseType.UPDATE) pass(event, progress);
			else if (event.responseType.isTerminal()) done.countDown();
		});
		task.start();
		final boolean ended = watched(running, task, done, progress);
		if (task.status == Service.TaskStatus.COMPLETE) return task;
		if (ended) throw EngineException.cancelled();
		if (running.isAlive()) throw new EngineException(Kind.DEFECT, "The Python worker failed without an answer.", task.error);
		throw crashed(running, task.error);
	}

	/** Waits for the end; says whether the worker had to be ended because it did not stop when asked. */
	private static boolean watched(Service running, Service.Task task, CountDownLatch done, Progress progress) throws EngineException {
		long askedToStop = 0;
		try {
			while (!waited(done, POLL_MS)) {
				if (!running.isAlive()) return !waited(done, LAST_WORDS_MS) && askedToStop > 0;
				if (!progress.isCanceled()) continue;
				if (askedToStop == 0) {
					askedToStop = System.nanoTime();
					task.cancel();
				}
				else if (System.nanoTime() - askedToStop > GRACE_MS * 1_000_000) {
					running.kill();
					waited(done, LAST_WORDS_MS);
					return true;
				}
			}
		}
		catch (EngineException interrupted) {
			task.cancel();
			throw interrupted;
		}
		return false;
	}

	private static void pass(TaskEvent event, Progress progress) {
		progress.update(event.message, event.current, event.maximum, event.info == null ? null : Json.write(event.info));
	}

	private static EngineException crashed(Service dead, String why) {
		final Matcher code = EXIT_CODE.matcher(String.valueOf(why));
		final String sentence = "The Python engine ended unexpectedly" + (code.find() ? " (exit code " + code.group(1) + ")" : "") +
			"; your images are untouched. Run the command again: a new engine is started. If it happens again, memory may be short.";
		return new EngineException(Kind.CRASHED, sentence, tail(dead.errorLines()));
	}

	/** Puts buffers into shared memory, adds them to the inputs of a task, and gives the names that they have there. */
	private static String share(ByteBuffer[] buffers, String prefix, boolean filled, Map<String, Object> inputs, List<NDArray> blocks)
		throws EngineException
	{
		final List<String> names = new ArrayList<>();
		for (final ByteBuffer buffer : buffers) {
			final NDArray block = block(buffer.limit());
			blocks.add(block);
			if (filled) copy(buffer, block.buffer());
			names.add(prefix + names.size());
			inputs.put(names.get(names.size() - 1), block);
		}
		return String.join(", ", names);
	}

	private static NDArray block(int bytes) throws EngineException {
		final File shared = new File("/dev/shm");
		if (shared.isDirectory() && shared.getUsableSpace() < bytes) throw EngineException.user("The shared memory /dev/shm has " +
			(shared.getUsableSpace() >> 20) + " MB left and this image needs " + (bytes >> 20) + " MB. Enlarge it (in a container: --shm-size), or work on a crop.");
		return new NDArray(NDArray.DType.UINT8, new NDArray.Shape(NDArray.Shape.Order.C_ORDER, Math.max(1, bytes)));
	}

	private static void copy(ByteBuffer from, ByteBuffer to) {
		final ByteBuffer source = from.duplicate();
		final ByteBuffer target = to.duplicate();
		source.clear().limit(Math.min(from.limit(), to.limit()));
		target.clear();
		target.put(source);
	}

	private static boolean waited(CountDownLatch latch, long milliseconds) throws EngineException {
		try {
			return latch.await(milliseconds, TimeUnit.MILLISECONDS);
		}
		catch (InterruptedException stopped) {
			Thread.currentThread().interrupt();
			throw EngineException.cancelled();
		}
	}

	private static String tail(List<String> lines) {
		final List<String> copy = new ArrayList<>(lines);
		return String.join("\n", copy.subList(Math.max(0, copy.size() - TAIL_LINES), copy.size()));
	}
}
