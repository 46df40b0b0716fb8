package io.github.superlens.core;

import java.awt.Image;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import ij.ImagePlus;
import io.github.superlens.engine.Engine;
import io.github.superlens.engine.EngineException;
import io.github.superlens.engine.EngineProvider;
import io.github.superlens.engine.Json;
import io.github.superlens.engine.Progress;
import io.github.superlens.engine.Reply;
import io.github.superlens.image.ImagePlusIO;
import io.github.superlens.image.Selection;

/** What a run would make and cost, and what the optics look like, before anything is started. Asks the engine: never call it on the event dispatch thread. */
public final class Outlook {

	private static final List<String> PLANNED = Arrays.asList("enhance", "train", "predict", "localize");

	private Outlook() {
		// asks
	}

	/** A PSF to look at. */
	public static final class Spot {

		private final Image image;
		private final String words;

		private Spot(Image image, String words) {
			this.image = image;
			this.words = words;
		}

		/** The picture. */
		public Image image() {
			return image;
		}

		/** How wide it is. */
		public String words() {
			return words;
		}
	}

	/**
	 * Says what a run makes, and its memory and time as far as they are known.
	 *
	 * @param values values of a command
	 * @param image what it works on; may be null
	 * @return a line; empty when there is nothing to say
	 * @throws EngineException why it cannot be run, in a sentence
	 */
	public static String words(Values values, ImagePlus image) throws EngineException {
		final Host host = new Aside(image);
		if (values.spec().name().equals("setup")) return "Now: " + host.engine().describe() + ".";
		if (!PLANNED.contains(values.spec().name())) return "";
		final Job job = new Job(values, host);
		if (!values.has("input")) ImagePlusIO.check(image);
		final Map<String, Object> input = values.has("input") ? null : ImagePlusIO.describe(image, //
			Selection.of(image, values.text("channels"), values.text("slices"), values.text("frames")));
		return words(job.plan(input));
	}

	/**
	 * The PSF of the optics that are given so far.
	 *
	 * @param options what is typed in a dialog that asks for optics
	 * @param image whose pixel size counts when none is typed; may be null
	 * @return null when the optics are not complete, or cannot be
	 */
	public static Spot psf(MacroOptions options, ImagePlus image) {
		final CommandSpec spec = CommandSpec.of("psf");
		final Map<String, String> optics = new LinkedHashMap<>();
		options.values().forEach((key, value) -> {
			final ParamSpec param = spec.param(key);
			if (param != null && (!param.isPath() || key.equals("psf")) && !key.equals("z_step_nm") && !key.equals("measure"))
				optics.put(key, param.type() == ParamSpec.Type.FLOAT ? value.trim().split("\\s+")[0] : value); // the first channel's
		});
		final Object pixel = image == null ? null : ImagePlusIO.describe(image, Selection.all(image)).get("pixel_nm");
		if (pixel != null) optics.putIfAbsent("pixel_nm", pixel.toString());
		final Aside aside = new Aside(null);
		try {
			final Reply reply = new Job(Values.read(spec, MacroOptions.of(optics)), aside).run();
			return aside.shown == null ? null : new Spot(aside.shown.getProcessor().createImage(), width(reply));
		}
		catch (EngineException incomplete) {
			return null;
		}
	}

	private static String width(Reply reply) {
		final int at = reply.columns().indexOf("fwhm_nm");
		final Object fwhm = at < 0 || reply.rows().isEmpty() ? null : reply.rows().get(0).get(at);
		return fwhm instanceof Number ? "FWHM " + Math.round(((Number) fwhm).doubleValue()) + " nm" : "";
	}

	private static String words(Reply plan) {
		final StringBuilder line = new StringBuilder();
		for (final Map<String, Object> output : plan.outputs()) {
			if (!Boolean.TRUE.equals(output.get("show"))) continue;
			final List<Object> shape = Json.array(output.get("shape"));
			final int sides = shape.size();
			if (sides < 2) continue;
			line.append("Makes ").append(shape.get(sides - 1)).append(" x ").append(shape.get(sides - 2)).append(" pixels");
			final double pixel = Json.number(output, "pixel_nm", Double.NaN);
			if (!Double.isNaN(pixel)) line.append(" of ").append(Json.write(Math.round(pixel * 10) / 10.0)).append(" nm");
			break;
		}
		final double memory = Json.number(plan.info(), "memory_bytes", Double.NaN);
		if (!Double.isNaN(memory)) line.append(line.length() == 0 ? "Needs" : "; needs").append(String.format(" about %.1f GB", memory / 1e9));
		final double seconds = Json.number(plan.info(), "seconds", Double.NaN);
		if (!Double.isNaN(seconds)) line.append(line.length() == 0 ? "Takes" : " and").append(" about ").append(roughly(seconds));
		plan.messages().forEach(message -> line.append(". ").append(message));
		return line.append(line.length() == 0 ? "" : ".").toString();
	}

	/** A time that nobody knows to the second. */
	static String roughly(double seconds) {
		if (seconds < 90) return Math.max(1, Math.round(seconds)) + " s";
		return seconds < 90 * 60 ? Math.round(seconds / 60) + " min" : Math.round(seconds / 3600) + " h";
	}

	/** Keeps what would be shown. */
	private static final class Aside implements Host {

		private final ImagePlus image;
		private ImagePlus shown;

		private Aside(ImagePlus image) {
			this.image = image;
		}

		@Override
		public Engine engine() throws EngineException {
			return EngineProvider.get(Settings.python());
		}

		@Override
		public ImagePlus image() {
			return image;
		}

		@Override
		public Progress progress() {
			return Progress.SILENT;
		}

		@Override
		public void show(ImagePlus result) {
			shown = result;
		}

		@Override
		public void show(String title, List<String> columns, List<List<Object>> rows) {
			// the caller reads them from the reply
		}

		@Override
		public void show(String title, String text) {
			// nobody asked
		}

		@Override
		public void log(String line) {
			// it is said again when the command runs
		}
	}
}
