package io.github.superlens.scijava;

import java.io.File;

import org.scijava.ItemIO;
import org.scijava.command.Command;
import org.scijava.plugin.Parameter;
import org.scijava.plugin.Plugin;

import ij.ImagePlus;

/** {@code Superlens Enhance...} for {@code CommandService} and {@code #@} scripts: typed inputs, and the result as an output. */
@Plugin(type = Command.class, headless = true, label = "Superlens Enhance")
public final class EnhanceCommand extends TwinCommand {

	@Parameter(label = "Image")
	private ImagePlus image;

	@Parameter(label = "Numerical aperture", required = false)
	private Double na;

	@Parameter(label = "Emission wavelength (nm)", required = false)
	private Double wavelength_nm;

	@Parameter(label = "Pixel size (nm)", required = false)
	private Double pixel_nm;

	@Parameter(label = "Preset", required = false, choices = { "fast", "standard", "paper" })
	private String preset = "fast";

	@Parameter(label = "Denoise only", required = false)
	private boolean denoise_only;

	@Parameter(label = "Measured PSF", required = false, persist = false)
	private File psf;

	@Parameter(label = "Save the trained model as", required = false, persist = false, style = "save")
	private File save_model;

	@Parameter(type = ItemIO.OUTPUT, label = "Super-resolved image")
	private ImagePlus result;

	@Override
	public void run() {
		result = work("enhance", image);
	}
}
