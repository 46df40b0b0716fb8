package io.github.superlens.engine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import io.github.superlens.engine.EngineException.Kind;

/** The real worker process, with the Python that the environment variable SUPERLENS_PYTHON names; skipped without one. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class ApposeEngineTest {

	private static ApposeEngine engine;

	@BeforeAll
	static void start() throws EngineException {
		final String python = System.getenv(PythonEnvironment.VARIABLE);
		assumeTrue(python != null && !python.isEmpty(), "no worker is tested: " + PythonEnvironment.VARIABLE + " names no Python with superlens");
		engine = new ApposeEngine(PythonEnvironment.find(new File(python)));
	}

	@AfterAll
	static void stop() {
		if (engine != null) engine.close();
	}

	@Test
	void aWarmWorkerAnswersFromTheSameProcess() throws EngineException {
		final long first = ping();
		assertEquals(first, ping());
		assertTrue(alive(first));
	}

	@Test
	void pixelsGoThereAndTheResultComesBack() throws EngineException {
		final Run run = new Run(48, 40, 3);
		final Reply reply = run.call(Progress.SILENT);
		assertEquals(1, reply.outputs().size());
		float largest = 0;
		for (int i = 0; i < 96 * 80; i++) largest = Math.max(largest, run.out.getFloat(4 * i));
		assertTrue(largest > 0, "the result is empty");
	}

	@Test
	void theSameSeedGivesTheSamePixels() throws EngineException {
		final Run one = new Run(48, 40, 2);
		final Run two = new Run(48, 40, 2);
		one.call(Progress.SILENT);
		two.call(Progress.SILENT);
		assertEquals(one.out, two.out);
	}

	@Test
	void cancelIsAnswered() {
		final Listener listener = new Listener();
		listener.cancelAfter = 1;
		final EngineException stopped = assertThrows(EngineException.class, () -> new Run(48, 40, 100_000).call(listener));
		assertEquals(Kind.CANCELLED, stopped.kind());
	}

	@Test
	void theWorkerIsStillTheSameAfterACancel() throws EngineException {
		final long before = ping();
		cancelIsAnswered();
		assertEquals(before, ping());
	}

	@Test
	void finishKeepsWhatIsLearned() throws Exception {
		final Run run = new Run(48, 40, 100_000);
		final Thread finisher = new Thread(() -> run.finishWhenTraining());
		finisher.start();
		assertTrue(run.call(run.listener).early());
		finisher.join();
	}

	@Test
	void aRefusalIsASentenceAndTheWorkerLives() throws EngineException {
		final long before = ping();
		final EngineException refused = assertThrows(EngineException.class, () -> new Run(48, 40, -5).call(Progress.SILENT));
		assertEquals(Kind.USER, refused.kind());
		assertFalse(refused.getMessage().contains("\n"));
		assertEquals(before, ping());
	}

	@Test
	void aWorkerThatIsKilledInMidTaskIsReplacedAndTheImagesStay() throws Exception {
		final long pid = ping();
		final Run run = new Run(48, 40, 100_000);
		final ByteBuffer before = ByteBuffer.allocate(run.in.limit()).put(run.in.duplicate());
		before.flip();
		run.listener.onFirst = () -> kill(pid);
		final EngineException crashed = assertThrows(EngineException.class, () -> run.call(run.listener));
		assertEquals(Kind.CRASHED, crashed.kind());
		assertEquals(before, run.in);
		assertFalse(pid == ping());
	}

	@Test
	void noSharedMemoryIsLeftBehind() throws EngineException {
		final Run run = new Run(48, 40, 2);
		final Set<String> during = new TreeSet<>();
		run.listener.onFirst = () -> during.addAll(blocks());
		run.call(run.listener);
		assertEquals(2, during.size());
		for (final String block : during) assertFalse(new File(block).exists(), block);
		assertTrue(blocks().isEmpty());
	}

	@Test
	void closingEndsTheProcess() throws Exception {
		final ApposeEngine own = new ApposeEngine(PythonEnvironment.find(new File(System.getenv(PythonEnvironment.VARIABLE))));
		final long pid = ping(own);
		own.close();
		for (int i = 0; i < 200 && alive(pid); i++) Thread.sleep(50);
		assertFalse(alive(pid));
	}

	/** Else Java would not end after a macro without a screen. */
	@Test
	void noThreadOfAWorkerKeepsJavaAlive() throws EngineException {
		ping();
		final List<Thread> listening = Thread.getAllStackTraces().keySet().stream().filter(thread -> thread.getName().startsWith("Appose-Service"))
			.collect(Collectors.toList());
		assertFalse(listening.isEmpty());
		for (final Thread thread : listening) assertTrue(thread.isDaemon(), thread.getName());
	}

	@Test
	void aClosedEngineStartsAnewAndClosesAgain() throws Exception {
		final ApposeEngine own = new ApposeEngine(PythonEnvironment.find(new File(System.getenv(PythonEnvironment.VARIABLE))));
		final long first = ping(own);
		own.close();
		final long second = ping(own);
		assertFalse(first == second);
		own.close();
		for (int i = 0; i < 200 && alive(second); i++) Thread.sleep(50);
		assertFalse(alive(second));
	}

	private static long ping() throws EngineException {
		return ping(engine);
	}

	private static long ping(Engine asked) throws EngineException {
		final String reply = asked.call("{\"schema\":1,\"verb\":\"ping\"}", new ByteBuffer[0], new ByteBuffer[0], Progress.SILENT);
		return (long) Json.number(Reply.read(reply).info(), "pid", 0);
	}

	private static boolean alive(long pid) {
		return new File("/proc/" + pid + "/cmdline").length() > 0 || readable(pid);
	}

	private static boolean readable(long pid) {
		try {
			final String state = new String(Files.readAllBytes(Paths.get("/proc/" + pid + "/stat")));
			return !state.contains(") Z");
		}
		catch (IOException gone) {
			return false;
		}
	}

	private static void kill(long pid) {
		try {
			new ProcessBuilder("kill", "-9", Long.toString(pid)).start().waitFor();
		}
		catch (IOException | InterruptedException failed) {
			throw new IllegalStateException(failed);
		}
	}

	/** The blocks of shared memory that this process looks into. */
	private static Set<String> blocks() {
		try (Stream<String> maps = Files.lines(Paths.get("/proc/self/maps"))) {
			return maps.filter(line -> line.contains(" /dev/shm/")).map(line -> line.substring(line.indexOf("/dev/shm/"))).collect(Collectors.toCollection(TreeSet::new));
		}
		catch (IOException notLinux) {
			throw new UncheckedIOException(notLinux);
		}
	}

	/** One training on a small image of noise around a line. */
	private static final class Run {

		private final ByteBuffer in;
		private final ByteBuffer out;
		private final Map<String, Object> request = new LinkedHashMap<>();
		private final Listener listener = new Listener();

		Run(int height, int width, int steps) throws EngineException {
			in = ByteBuffer.allocateDirect(2 * height * width).order(ByteOrder.nativeOrder());
			out = ByteBuffer.allocateDirect(16 * height * width).order(ByteOrder.nativeOrder());
			final java.util.Random random = new java.util.Random(7);
			for (int i = 0; i < height * width; i++) {
				final double light = 100 + 400 * Math.exp(-Math.pow((i % width - width / 2.0) / 3, 2));
				in.putShort(2 * i, (short) (100 + light + Math.sqrt(light) * random.nextGaussian()));
			}
			request.putAll(Json.object(Json.parse(Protocol.text("enhance.request.json"))));
			final Map<String, Object> parameters = new LinkedHashMap<>(Json.object(request.get("parameters")));
			parameters.put("steps", steps);
			parameters.put("threads", 1);
			request.put("parameters", parameters);
			request.put("run", "test-" + System.nanoTime());
		}

		Reply call(Progress progress) throws EngineException {
			return Reply.read(engine.call(Json.write(request), new ByteBuffer[] { in }, new ByteBuffer[] { out }, progress));
		}

		void finishWhenTraining() {
			try {
				while (listener.trainingSteps() < 1) Thread.sleep(20);
				engine.call("{\"schema\":1,\"verb\":\"finish\",\"run\":\"" + request.get("run") + "\"}", new ByteBuffer[0], new ByteBuffer[0], Progress.SILENT);
			}
			catch (EngineException | InterruptedException failed) {
				throw new IllegalStateException(failed);
			}
		}
	}

	private static final class Listener implements Progress {

		private final List<String> stages = java.util.Collections.synchronizedList(new java.util.ArrayList<>());
		private volatile int cancelAfter = Integer.MAX_VALUE;
		private volatile Runnable onFirst;

		@Override
		public void update(String message, long current, long maximum, String infoJson) {
			if (infoJson == null || !"training".equals(Json.object(Json.parse(infoJson)).get("stage"))) return;
			stages.add(message);
			final Runnable once = onFirst;
			onFirst = null;
			if (once != null) once.run();
		}

		int trainingSteps() {
			return stages.size();
		}

		@Override
		public boolean isCanceled() {
			return stages.size() >= cancelAfter;
		}

		@Override
		public boolean isFinishRequested() {
			return false;
		}
	}
}
